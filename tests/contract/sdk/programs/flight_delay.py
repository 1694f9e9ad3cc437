"""Sends the requests of flight_delay's jobs by hand, with the SDK's own classes; prints what went over the wire."""

import json
import sys
from pathlib import Path

import boto3
import yaml
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.image_uris import retrieve
from sagemaker.core.processing import ProcessingInput, ProcessingOutput, Processor
from sagemaker.core.resources import Model
from sagemaker.core.shapes import (
    ContainerDefinition,
    MetricDefinition,
    ProcessingS3Input,
    ProcessingS3Output,
    S3DataSource,
    StoppingCondition,
)
from sagemaker.core.training.configs import Compute, InputData, OutputDataConfig
from sagemaker.core.transformer import Transformer
from sagemaker.train.model_trainer import ModelTrainer

_, role, given = sys.argv[1:]
at = json.loads(given)
model = yaml.safe_load(Path(at["model_yaml"]).read_text())
training, evaluation, scoring = model["training"], model["evaluation"], model["scoring"]
sent = {}


def note(request, **_):
    """Keep the body of each Create request, which is what leaves this process."""
    operation = request.headers.get("X-Amz-Target", b"").decode().partition(".")[2]
    if operation.startswith("Create"):
        sent.setdefault(operation, []).append(json.loads(request.body))


aws = boto3.Session()
aws.events.register("before-send.sagemaker", note)
session = Session(boto_session=aws)


def image(scope, instance_type):
    """Look the image up as the SDK's documentation does."""
    return retrieve(
        framework=model["image"]["framework"],
        region=model["image"]["region"],
        version=model["image"]["version"],
        instance_type=instance_type,
        image_scope=scope,
    )


def given_input(name, uri, kind):
    """An input of a processing job."""
    return ProcessingInput(
        input_name=name,
        s3_input=ProcessingS3Input(
            s3_uri=uri,
            local_path=f"/opt/ml/processing/input/{name}",
            s3_data_type=kind,
            s3_input_mode="File",
            s3_data_distribution_type="FullyReplicated",
        ),
    )


def process(purpose, program, inputs, arguments):
    """Start a processing job on the machine of the evaluation."""
    Processor(
        role=role,
        image_uri=image("training", evaluation["instance_type"]),
        entrypoint=["python3", program],
        instance_count=1,
        instance_type=evaluation["instance_type"],
        volume_size_in_gb=10,
        max_runtime_in_seconds=3600,
        sagemaker_session=session,
    ).run(
        job_name=f"flight-delay-{purpose}",
        inputs=inputs,
        outputs=[
            ProcessingOutput(
                output_name=purpose,
                s3_output=ProcessingS3Output(
                    s3_uri=f"{at['lake']}/jobs/flight_delay/{purpose}",
                    local_path="/opt/ml/processing/output",
                    s3_upload_mode="EndOfJob",
                ),
            )
        ],
        arguments=arguments,
        wait=False,
        logs=False,
    )


trainer = ModelTrainer(
    sagemaker_session=session,
    training_image=image("training", training["instance_type"]),
    role=role,
    base_job_name="flight-delay-train",
    compute=Compute(instance_type=training["instance_type"], instance_count=1, volume_size_in_gb=10),
    stopping_condition=StoppingCondition(max_runtime_in_seconds=3600),
    output_data_config=OutputDataConfig(s3_output_path=f"{at['lake']}/jobs/flight_delay/training"),
    hyperparameters=training["hyperparameters"]
    | {
        "seed": training["seed"],
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": f"{at['code']}/sourcedir.tar.gz",
    },
)
trainer.with_metric_definitions(
    [MetricDefinition(name=name, regex=regex) for name, regex in training["metric_definitions"].items()]
)
trainer.train(
    input_data_config=[
        InputData(
            channel_name=name,
            data_source=S3DataSource(
                s3_data_type="ManifestFile", s3_uri=at[name], s3_data_distribution_type="FullyReplicated"
            ),
        )
        for name in ("features", "labels")
    ],
    wait=False,
    logs=False,
)

inputs = "/opt/ml/processing/input"
process(
    "evaluate",
    f"{inputs}/candidate-code/evaluate.py",
    [
        given_input("features", at["features"], "ManifestFile"),
        given_input("labels", at["labels"], "ManifestFile"),
        given_input("candidate", at["artifact"], "S3Prefix"),
        given_input("candidate-code", f"{at['code']}/files/", "S3Prefix"),
        given_input("champion", at["artifact"], "S3Prefix"),
        given_input("champion-code", f"{at['code']}/files/", "S3Prefix"),
    ],
    [
        *("--holdout-month", "2013-03", "--objective", "binary_classification"),
        *("--features", f"{inputs}/features", "--labels", f"{inputs}/labels", "--output", "/opt/ml/processing/output"),
        *("--model", f"candidate={inputs}/candidate", "--code", f"candidate={inputs}/candidate-code"),
        *("--model", f"champion={inputs}/champion", "--code", f"champion={inputs}/champion-code"),
    ],
)
process(
    "plot",
    f"{inputs}/code/plot_months.py",
    [
        given_input("reports", at["features"], "ManifestFile"),
        given_input("code", f"{at['code']}/files/", "S3Prefix"),
    ],
    ["--reports", f"{inputs}/reports", "--output", "/opt/ml/processing/output"],
)
Model.create(
    model_name="flight-delay-model",
    primary_container=ContainerDefinition(
        image=image("inference", scoring["instance_type"]),
        model_data_url=at["artifact"],
        environment={"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": f"{at['code']}/sourcedir.tar.gz"},
    ),
    execution_role_arn=role,
    session=aws,
)
Transformer(
    model_name="flight-delay-model",
    instance_count=1,
    instance_type=scoring["instance_type"],
    assemble_with="None",
    accept="text/csv",
    output_path=f"{at['lake']}/jobs/flight_delay/scoring",
    max_concurrent_transforms=1,
    max_payload=100,
    sagemaker_session=session,
).transform(
    at["rows"],
    content_type="application/x-parquet",
    split_type="None",
    job_name="flight-delay-score",
    wait=False,
    logs=False,
)
print("\n" + json.dumps(sent))
