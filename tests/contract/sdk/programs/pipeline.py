"""Upserts a pipeline of processing, training and a condition, starts it with a parameter, waits, lists its steps."""

import json
import sys
from pathlib import Path

from sagemaker.core.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.core.shapes import ProcessingS3Input, ProcessingS3Output
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.core.workflow.conditions import ConditionGreaterThan
from sagemaker.core.workflow.parameters import ParameterInteger
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.train.model_trainer import ModelTrainer

image, role, rows, target, script = sys.argv[1:]
session = PipelineSession()
factor = ParameterInteger(name="Factor", default_value=1)

processor = ScriptProcessor(
    image_uri=image,
    role=role,
    command=["python3"],
    instance_type="ml.m5.large",
    instance_count=1,
    env={"TEAM": "pipeline"},
    sagemaker_session=session,
)
source = ProcessingS3Input(
    s3_uri=rows, local_path="/opt/ml/processing/rows", s3_data_type="S3Prefix", s3_input_mode="File"
)
result = ProcessingS3Output(s3_uri=target, local_path="/opt/ml/processing/sums", s3_upload_mode="EndOfJob")
sums = ProcessingStep(
    name="Sums",
    step_args=processor.run(
        code=script,
        inputs=[ProcessingInput(input_name="rows", s3_input=source)],
        outputs=[ProcessingOutput(output_name="sums", s3_output=result)],
        arguments=["--times", "1"],
    ),
)
trainer = ModelTrainer(
    sagemaker_session=session,
    training_image=image,
    role=role,
    base_job_name="sdk-pipeline",
    source_code=SourceCode(
        source_dir=str(Path(__file__).parent / "source"), entry_script="learn.py", requirements="requirements.txt"
    ),
    compute=Compute(instance_type="ml.m5.large", instance_count=1),
    hyperparameters={"factor": factor},
)
learn = TrainingStep(
    name="Learn",
    step_args=trainer.train(input_data_config=[InputData(channel_name="rows", data_source=rows)]),
    depends_on=[sums],
)
decide = ConditionStep(
    name="Decide",
    conditions=[ConditionGreaterThan(left=factor, right=2)],
    if_steps=[learn],
    else_steps=[FailStep(name="Small", error_message="the factor is small")],
)
pipeline = Pipeline(name="sdk-pipeline", parameters=[factor], steps=[sums, decide], sagemaker_session=session)
pipeline.upsert(role_arn=role)
# a second time, as a deployment does that has nothing new
arn = pipeline.upsert(role_arn=role)["PipelineArn"]
execution = pipeline.start(parameters={"Factor": 7})
execution.wait(delay=1, max_attempts=300)
steps = {step["StepName"]: step["StepStatus"] for step in execution.list_steps()}
print("\n" + json.dumps({"pipeline": arn, "execution": execution.arn, "steps": steps}))
