"""Builds a model of an artifact, deploys and invokes it, transforms with it, registers it, deletes the endpoint."""

import json
import sys
from pathlib import Path

from sagemaker.core.training.configs import SourceCode
from sagemaker.serve.model_builder import ModelBuilder

image, role, artifact, rows, target = sys.argv[1:]
builder = ModelBuilder(
    s3_model_data_url=artifact,
    image_uri=image,
    role_arn=role,
    source_code=SourceCode(source_dir=str(Path(__file__).parent / "source"), entry_script="inference.py"),
    instance_type="ml.m5.large",
    content_type="text/csv",
    accept_type="text/csv",
)
model = builder.build(model_name="sdk-model")
endpoint = builder.deploy(endpoint_name="sdk-endpoint", initial_instance_count=1, instance_type="ml.m5.large")
answer = endpoint.invoke(body="4\n5\n", content_type="text/csv", accept="text/csv").body.read().decode()

transformer = builder.transformer(
    instance_count=1, instance_type="ml.m5.large", output_path=target, accept="text/csv", assemble_with="Line"
)
transformer.transform(rows, content_type="text/csv", split_type="Line", wait=True, logs=False)

package = builder.register(
    model_package_group_name="sdk-group",
    content_types=["text/csv"],
    response_types=["text/csv"],
    inference_instances=["ml.m5.large"],
    transform_instances=["ml.m5.large"],
    approval_status="Approved",
)
print(
    "\n"
    + json.dumps(
        {
            "answer": answer,
            "model": model.model_name,
            "transform": transformer.latest_transform_job.transform_job_name,
            "package": package,
        }
    )
)
