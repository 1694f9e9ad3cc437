"""What CloudWatch knows of jobs and endpoints: the metrics of algorithms and those of instances."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.contract.inference import make_model
from tests.contract.local_cloud import LocalCloud, until

BURNS = """
import time
held = bytearray(300 << 20)
held[::4096] = b"x" * len(held[::4096])
print("burning")
while True:
    sum(range(10000))
"""


def values(cloud: LocalCloud, namespace: str, metric: str, **dimensions: str) -> list[float]:
    """Return the largest values of a metric, one for each minute."""
    now = datetime.now(UTC)
    points: list[dict[str, Any]] = cloud.client("cloudwatch").get_metric_statistics(
        Namespace=f"/aws/sagemaker/{namespace}",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    return [point["Maximum"] for point in points]


@pytest.mark.executes("CreateTrainingJob")
def test_metrics_of_an_algorithm(cloud: LocalCloud) -> None:
    """What MetricDefinitions find in the output is a metric of the job's name."""
    definitions = [{"Name": "validation:rmse", "Regex": "rmse=(.*?);"}]
    script = "print('rmse=0.75;'); print('rmse=0.5;'); print('rmse=nothing;')"
    cloud.train("measured", script, AlgorithmSpecification={"MetricDefinitions": definitions})
    cloud.finished("Training", "measured")
    assert max(values(cloud, "TrainingJobs", "validation:rmse", TrainingJobName="measured")) == 0.75


@pytest.mark.executes("CreateProcessingJob", "CreateEndpoint")
def test_metrics_of_instances(cloud: LocalCloud) -> None:
    """A busy job's instance shows processor, memory and disk; an endpoint's shows them by variant."""
    sagemaker = cloud.client("sagemaker")
    variant = {"VariantName": "only", "ModelName": make_model(cloud, "idles"), "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName="idles", ProductionVariants=[{**variant, "InstanceType": "ml.m5.large"}]
    )
    sagemaker.create_endpoint(EndpointName="idles", EndpointConfigName="idles")
    cloud.process_data("burns", BURNS)
    host = {"Host": "burns/algo-1"}
    (busy,) = until(lambda: values(cloud, "ProcessingJobs", "CPUUtilization", **host), "the first metrics")
    sagemaker.stop_processing_job(ProcessingJobName="burns")
    assert busy > 1
    (held,) = values(cloud, "ProcessingJobs", "MemoryUtilization", **host)
    # 300 MB of the 8 GB of an ml.m5.large, and Python itself
    assert 3 < held < 6
    (disk,) = values(cloud, "ProcessingJobs", "DiskUtilization", **host)
    assert 0 < disk <= 100
    dimensions = {"EndpointName": "idles", "VariantName": "only"}
    (idle,) = until(lambda: values(cloud, "Endpoints", "MemoryUtilization", **dimensions), "the endpoint's metrics")
    assert 0 < idle < held
    sagemaker.delete_endpoint(EndpointName="idles")
    cloud.finished("Processing", "burns")
