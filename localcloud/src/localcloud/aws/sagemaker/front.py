"""What the API of every kind of SageMaker job has in common: create under a free name, look up, stop.

How it works: moto's Response class is subclassed (its backend class cannot be: moto derives service names from that
class's module), once per kind of resource; `localcloud.aws.sagemaker.service` puts the parts together. `super()`
stores the record, so that List, Search and Tags go on working; the record is put back to InProgress and a run follows
it to its end.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ResourceInUseException, SagemakerClientError, ValidationError
from moto.sagemaker.models import SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse

from localcloud.aws.connections import APPLICATION, Connections
from localcloud.aws.sagemaker.conditions import Conditions
from localcloud.aws.sagemaker.endpoints.serving import ServingEndpoints
from localcloud.aws.sagemaker.instancemetrics import NAMESPACES, InstanceMetrics
from localcloud.aws.sagemaker.jobs.execution import Surroundings
from localcloud.aws.sagemaker.jobs.records import IN_PROGRESS, STOPPING, Record, unchanging, unseen
from localcloud.aws.sagemaker.monitoring.timer import Timer
from localcloud.engine.engine import ONE_HOST, Engine, Host, Job, Outcome, Work
from localcloud.engine.store import JobStatus


class ResourceLimitExceeded(SagemakerClientError):
    """The account's quota does not allow it."""

    code = "ResourceLimitExceeded"


@dataclass(frozen=True)
class JobKind:
    """How AWS names and words one kind of job.

    Args:
        word: The engine's and the messages' word, as in "training".
        name_field: The request's field that holds the name, as in "TrainingJobName".
        table: moto's attribute that holds the jobs by name.
        status_field: The attribute of a stored job that holds its status.
        taken: What the refusal of a taken name begins with.
        unknown: The refusal of an unknown name; `{name}` is replaced.
    """

    word: str
    name_field: str
    table: str
    status_field: str
    taken: str
    unknown: str


class RunningJobs:
    """The jobs of this server that have not ended, by ARN."""

    def __init__(self, engine: Engine, connections: Connections) -> None:
        """Start without jobs."""
        self.engine = engine
        self.connections = connections
        self.conditions = Conditions()
        self.metrics = InstanceMetrics(engine, connections)
        self.endpoints = ServingEndpoints()
        self.timer = Timer()
        # one creation at a time: looking a name up and storing it must not be interrupted
        self.creating = threading.Lock()
        # how often all records were reset
        self.resets = 0
        self._jobs: dict[str, tuple[Job, Record]] = {}

    def start(
        self, kind: str, name: str, record: Record, work: Work, hosts: Sequence[Host], *, needs_slot: bool = True
    ) -> None:
        """Hand a job to the engine; one that only coordinates others needs no slot."""
        arn = record.get("arn")

        def until_end(job: Job) -> Outcome:
            try:
                return work(job)
            finally:
                self._jobs.pop(arn, None)

        def on_defect(reason: str) -> None:
            self._jobs.pop(arn, None)
            record.finish(JobStatus.FAILED, failure_reason=f"InternalServerError: localcloud: {reason}")

        # before the engine runs it, as a trivial job may have ended when `submit` returns
        job = self.engine.prepare(kind, name, hosts)
        self._jobs[arn] = (job, record)
        if kind in NAMESPACES:
            self.metrics.watch(job, arn.split(":")[3])
        self.engine.submit(job, until_end, needs_slot=needs_slot, on_defect=on_defect)

    def surroundings(self, region: str) -> Surroundings:
        """Return where a job of a region runs."""
        return Surroundings(self.engine, self.connections, region, self.conditions, self.metrics)

    def check_quota(self, kind: str, hosts: Sequence[Host]) -> None:
        """Refuse a job whose instances are more than the conditions allow beside those that run or wait.

        Raises:
            ResourceLimitExceeded: in AWS's words.
        """
        running = [
            job
            for job, record in list(self._jobs.values())
            # one that is final already may still be tidying up
            if job.kind == kind and record.status in {IN_PROGRESS, STOPPING}
        ]
        used = Counter(host.type for job in running for host in job.hosts)
        wanted = Counter(host.type for host in hosts)
        refuse_over_quota(self.conditions.quotas.get(kind, {}), used, wanted, f"{kind} job usage")

    def stop(self, record: Record, kind: str) -> None:
        """Ask a job to stop, or refuse as AWS does when it has already ended."""
        if not record.begin_stopping():
            message = f"The request was rejected because the {kind} job is in status {record.status}."
            raise ValidationError(message)
        self.ask_to_stop(record.get("arn"))

    def ask_to_stop(self, arn: str) -> None:
        """Ask what runs under an ARN to stop; nothing happens when it has ended."""
        job, _ = self._jobs.get(arn, (None, None))
        if job is not None:
            job.stop.request()

    def abandon(self) -> None:
        """End all jobs and forget them: moto's records are about to be reset. Called while nothing is created."""
        self.resets += 1
        self.timer.clear()
        self.engine.abandon("reset")
        self._jobs.clear()
        self.endpoints.abandon()


def refuse_over_quota(
    limits: Mapping[str, int], used: Mapping[str, int], wanted: Mapping[str, int], usage: str
) -> None:
    """Refuse instances beyond a quota.

    Args:
        limits: The quotas, by instance type; a type that is not named has none.
        used: The instances that there are, by instance type.
        wanted: The instances that are asked for, by instance type.
        usage: What AWS calls the quota, as in "training job usage".

    Raises:
        ResourceLimitExceeded: in AWS's words.
    """
    for instance_type, delta in wanted.items():
        utilization = used.get(instance_type, 0)
        if instance_type in limits and utilization + delta > limits[instance_type]:
            message = (
                f"The account-level service limit '{instance_type} for {usage}' is {limits[instance_type]} Instances, "
                f"with current utilization of {utilization} Instances and a request delta of {delta} Instances. Please "
                "use AWS Service Quotas to request an increase for this quota. If AWS Service Quotas is not "
                "available, contact AWS support to request an increase for this quota."
            )
            raise ResourceLimitExceeded(message)


class Front(SageMakerResponse):
    """moto's operations, with what the parts of our API need."""

    running: ClassVar[RunningJobs]

    def create_job(
        self,
        kind: JobKind,
        store: Callable[[], ActionResult],
        run: Callable[[Record], Work],
        hosts: Sequence[Host] = ONE_HOST,
        *,
        needs_slot: bool = True,
    ) -> ActionResult:
        """Store a job under a free name and start it; `run` makes its work from the fresh record."""
        name, resets = self._get_param(kind.name_field), self.running.resets
        with self.running.creating:
            own = f"app/{APPLICATION}" in self.headers.get("User-Agent", "")
            if own and resets != self.running.resets:  # a pipeline's, say, that was reset while its request waited
                message = "localcloud was reset while the request waited"
                raise ValidationError(message)
            table = self.table(kind)
            if name in table:
                message = f"{kind.taken} with this name already exists ({table[name].arn})"
                raise ResourceInUseException(message)
            self.running.check_quota(kind.word, hosts)
            try:
                with unseen():  # moto's fresh record is Completed: nobody may keep it like that
                    answer = store()
                    record = Record(table[name], kind.status_field)
                    record.begin()
                work = run(record)
                record.announce()
                self.running.start(kind.word, name, record, work, hosts, needs_slot=needs_slot)
            except BaseException:
                table.pop(name, None)  # a record without a job would be in progress for ever
                raise
        return answer

    def known_job(self, kind: JobKind) -> Record:
        """Return the record of the job that the request names, or refuse in AWS's words."""
        with self.running.creating:  # what is being created is as moto made it: Completed
            return self._known_job(kind)

    def describe_job(self, kind: JobKind, describe: Callable[[], ActionResult]) -> ActionResult:
        """Describe the job that the request names, as it is at one moment, or refuse in AWS's words."""
        with self.running.creating, unchanging():
            self._known_job(kind)
            return describe()

    def _known_job(self, kind: JobKind) -> Record:
        name = self._get_param(kind.name_field)
        table = self.table(kind)
        if name not in table:
            raise ValidationError(kind.unknown.format(name=name))
        return Record(table[name], kind.status_field)

    def stop_job(self, kind: JobKind) -> EmptyResult:
        """Stop the job that the request names."""
        self.running.stop(self.known_job(kind), kind.word)
        return EmptyResult()

    def table(self, kind: JobKind) -> dict[str, Any]:
        """Return moto's jobs of a kind, by name."""
        table: dict[str, Any] = getattr(self.sagemaker_backend, kind.table)
        return table

    def request_body(self) -> dict[str, Any]:
        """Return the request itself: moto's parsed parameters lack fields such as Environment."""
        request: dict[str, Any] = json.loads(self.body)
        return request

    def surroundings(self) -> Surroundings:
        """Return where a job of this request runs."""
        return self.running.surroundings(self.region)


def own_table(backend: SageMakerModelBackend, name: str) -> dict[str, Any]:
    """Return a table that moto does not have, kept on moto's backend so that it is reset and saved with the rest."""
    table: dict[str, Any] = vars(backend).setdefault(name, {})
    return table


def close_interrupted(backend: SageMakerModelBackend, kind: JobKind, **fields: object) -> None:
    """Fail the jobs of a kind that were running when an earlier server ended; `fields` are set with the status."""
    for stored in getattr(backend, kind.table).values():
        record = Record(stored, kind.status_field)
        if record.status in {IN_PROGRESS, STOPPING}:
            reason = f"InternalServerError: the local cloud was stopped while the job was {record.status}"
            record.finish(JobStatus.FAILED, failure_reason=reason, **fields)
