"""The operations of training jobs that differ from moto's."""

import copy

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.models import SageMakerModelBackend

from localcloud.aws.sagemaker.front import Front, JobKind, RunningJobs, close_interrupted
from localcloud.aws.sagemaker.jobs.checks import unsupported
from localcloud.aws.sagemaker.jobs.cluster import check_network, read_cluster
from localcloud.aws.sagemaker.jobs.records import Record, utc_now
from localcloud.aws.sagemaker.training.checks import check_training
from localcloud.aws.sagemaker.training.run import TrainingRun
from localcloud.engine.engine import Work

TRAINING = JobKind(
    word="training",
    name_field="TrainingJobName",
    table="training_jobs",
    status_field="training_job_status",
    taken="Training job names must be unique within an AWS account and Region, and a training job",
    unknown="Requested resource not found.",
)


class TrainingJobs(Front):
    """Create, describe, stop."""

    def create_training_job(self) -> ActionResult:
        """Store and start a training job."""
        request = self.request_body()
        if not request.get("AlgorithmSpecification"):
            unsupported("a serverless training job (AlgorithmSpecification is not given)")
        image = check_training(request, self.running.connections.objects(), self.region)
        check_network(request, request["ResourceConfig"], self.running.engine.isolation)
        cluster = read_cluster(request["ResourceConfig"])
        # before moto replaces the user's definitions by one of its own
        definitions = copy.deepcopy(request["AlgorithmSpecification"].get("MetricDefinitions"))

        def run(record: Record) -> Work:
            algorithm = {k: v for k, v in record.get("algorithm_specification").items() if k != "MetricDefinitions"}
            record.set(algorithm_specification=algorithm | ({"MetricDefinitions": definitions} if definitions else {}))
            return TrainingRun(self.surroundings(), record, request, image, cluster)

        return self.create_job(TRAINING, super().create_training_job, run, cluster.hosts())

    def describe_training_job(self) -> ActionResult:
        """Word an unknown name as AWS does."""
        return self.describe_job(TRAINING, super().describe_training_job)

    def stop_training_job(self) -> EmptyResult:
        """Stop a training job (absent from moto)."""
        return self.stop_job(TRAINING)


def resume(backend: SageMakerModelBackend, running: RunningJobs) -> None:  # noqa: ARG001 - every part's signature
    """After a restart: close the jobs that were running."""
    close_interrupted(backend, TRAINING, training_end_time=utc_now())
