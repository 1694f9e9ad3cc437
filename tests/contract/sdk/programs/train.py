"""Trains with ModelTrainer: source code with requirements, a channel, a metric; prints what boto3 has to find."""

import json
import sys
from pathlib import Path

from sagemaker.core.shapes import MetricDefinition
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.train.model_trainer import ModelTrainer

image, role, rows = sys.argv[1:]
trainer = ModelTrainer(
    training_image=image,
    role=role,
    base_job_name="sdk-train",
    source_code=SourceCode(
        source_dir=str(Path(__file__).parent / "source"), entry_script="learn.py", requirements="requirements.txt"
    ),
    compute=Compute(instance_type="ml.m5.large", instance_count=1),
    hyperparameters={"factor": 2},
    environment={"TEAM": "sdk"},
)
trainer.with_metric_definitions([MetricDefinition(name="loss", regex="loss=(.*?);")])
trainer.train(input_data_config=[InputData(channel_name="rows", data_source=rows)], wait=True, logs=True)
job = trainer._latest_training_job
print("\n" + json.dumps({"job": job.training_job_name, "status": job.training_job_status}))
