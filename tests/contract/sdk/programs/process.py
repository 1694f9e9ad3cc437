"""Runs a ScriptProcessor with an input, an output and arguments."""

import json
import sys

from sagemaker.core.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.core.shapes import ProcessingS3Input, ProcessingS3Output

image, role, rows, target, script = sys.argv[1:]
processor = ScriptProcessor(
    image_uri=image,
    role=role,
    command=["python3"],
    instance_type="ml.m5.large",
    instance_count=1,
    base_job_name="sdk-process",
    env={"TEAM": "sdk"},
)
source = ProcessingS3Input(
    s3_uri=rows, local_path="/opt/ml/processing/rows", s3_data_type="S3Prefix", s3_input_mode="File"
)
result = ProcessingS3Output(s3_uri=target, local_path="/opt/ml/processing/sums", s3_upload_mode="EndOfJob")
processor.run(
    code=script,
    inputs=[ProcessingInput(input_name="rows", s3_input=source)],
    outputs=[ProcessingOutput(output_name="sums", s3_output=result)],
    arguments=["--times", "2"],
    wait=True,
    logs=True,
)
job = processor.latest_job
job.refresh()
print("\n" + json.dumps({"job": job.processing_job_name, "status": job.processing_job_status}))
