"""The containers of deployed models: started, kept running, chosen for a request.

How it works: a deployed model is a job of the engine with a host for each replica. A container that ends by itself is
started again. Requests go to the replicas in turn, to those that run.

What it does not do: scale beyond `min_replica_count`.
"""

import itertools
import threading
from typing import Any

from localcloud.engine.engine import Host, Job, Outcome
from localcloud.engine.store import JobStatus
from localcloud.gcp.objects import ObjectError
from localcloud.gcp.vertex.jobs.failures import JobCancelledError, JobFailedError
from localcloud.gcp.vertex.jobs.joblog import JobLog
from localcloud.gcp.vertex.jobs.machines import Machine, find_machine
from localcloud.gcp.vertex.names import id_of
from localcloud.gcp.vertex.serving.container import ContainerError, ModelContainer, Placement
from localcloud.gcp.vertex.surroundings import Surroundings

DEFAULT_MACHINE = "n1-standard-2"
_LOOK_SECONDS = 0.2
_RESTART_SECONDS = 1.0
# how long a request waits for a container that is being started
_PATIENCE_SECONDS = 60.0
_NONE_RUNS = "No replica of the deployed model runs."


class Deployment:
    """One deployed model. `error`: why it could not be started, once `ready` is set."""

    def __init__(self, surroundings: Surroundings, endpoint: str, deployed: Any, model: Any) -> None:
        """Start it; `deployed` and `model` are the API's messages."""
        self._arguments = (surroundings, endpoint, deployed, model)
        self._surroundings = surroundings
        self._model = model
        self.error = ""
        self.ready = threading.Event()
        self._ended = threading.Event()
        self._containers: list[ModelContainer | None] = []
        self._turn = itertools.count()
        machine_type = deployed.dedicated_resources.machine_spec.machine_type or DEFAULT_MACHINE
        machine = find_machine(machine_type) or Machine()
        self._placement = Placement(endpoint, id_of(endpoint), deployed.id, machine_type)
        replicas = max(1, deployed.dedicated_resources.min_replica_count)
        hosts = [Host(f"replica-{n}", machine.memory, machine.processors, machine_type) for n in range(replicas)]
        self._job = surroundings.engine.prepare("endpoint", deployed.id, hosts)
        surroundings.engine.submit(self._job, self._live, needs_slot=False, on_defect=self._on_defect)

    @property
    def was_interrupted(self) -> bool:
        """Whether its containers were ended by somebody else's reset of the engine."""
        return self._job.stop.abandoned

    def again(self) -> "Deployment":
        """Return the same deployment, started anew."""
        return Deployment(*self._arguments)

    def close(self) -> None:
        """End the containers and wait for it."""
        self._job.stop.request()
        self._ended.wait()

    def choose(self) -> ModelContainer:
        """Return a container that runs.

        Raises:
            ContainerError: None does.
        """
        self.ready.wait(_PATIENCE_SECONDS)
        running = [container for container in self._containers if container is not None and container.alive]
        if not running:
            raise ContainerError(_NONE_RUNS)
        return running[next(self._turn) % len(running)]

    def _live(self, job: Job) -> Outcome:
        logs = [self._log(number) for number in range(len(job.trees))]
        try:
            self._containers = [self._start(job, number, log) for number, log in enumerate(logs)]
            for container, log in zip(self._containers, logs, strict=True):
                self._await(container, log)
            self.ready.set()
            self._keep(job, logs)
        except JobCancelledError:
            pass
        except (JobFailedError, ObjectError) as error:
            self.error = str(error)
        finally:
            for running in self._containers:
                if running is not None:
                    running.close()
            for log in logs:
                log.close()
            self.ready.set()
            self._ended.set()
        return Outcome(JobStatus.FAILED if self.error else JobStatus.STOPPED, self.error or None)

    def _keep(self, job: Job, logs: list[JobLog]) -> None:
        """Start again what ends, until the job is stopped."""
        stopped = threading.Event()
        job.stop.on_request(stopped.set)
        while not stopped.wait(_LOOK_SECONDS):
            for number, container in enumerate(self._containers):
                if container is None or container.alive:
                    continue
                container.close()
                logs[number]("localcloud: the container has ended and is started again")
                if stopped.wait(_RESTART_SECONDS):
                    return
                again = self._start(job, number, logs[number])
                try:
                    again.await_health()
                except JobFailedError as error:
                    logs[number](f"localcloud: {error}")
                self._containers[number] = again

    def _start(self, job: Job, number: int, log: JobLog) -> ModelContainer:
        return ModelContainer(
            self._surroundings,
            job,
            number,
            self._model.container_spec,
            self._model.artifact_uri,
            self._placement,
            log,
        )

    @staticmethod
    def _await(container: ModelContainer | None, log: JobLog) -> None:
        if container is None:
            return
        try:
            container.await_health()
        except JobFailedError as error:
            message = f"{error} Model server logs can be found at {log.path} and end with:\n{log.message}"
            raise JobFailedError(message, error.code) from error

    def _log(self, number: int) -> JobLog:
        folder = self._surroundings.log_folder(self._placement.endpoint)
        return JobLog(folder / f"{self._placement.deployed_model}-replica-{number}.log")

    def _on_defect(self, reason: str) -> None:
        self.error = self.error or f"localcloud: {reason}"
        self.ready.set()
        self._ended.set()


class Deployments:
    """The deployed models of this server, by endpoint and id."""

    def __init__(self) -> None:
        """Start without any."""
        self._deployments: dict[tuple[str, str], Deployment] = {}
        self._lock = threading.Lock()

    def keep(self, endpoint: str, deployed_model: str, deployment: Deployment) -> Deployment | None:
        """Serve by a deployment from now on; return the one that did before."""
        before = self._deployments.get((endpoint, deployed_model))
        self._deployments[endpoint, deployed_model] = deployment
        return before

    def choose(self, endpoint: str, deployed_model: str) -> ModelContainer:
        """Return a container of a deployed model that runs.

        Raises:
            ContainerError: None does.
        """
        with self._lock:
            found = self._deployments.get((endpoint, deployed_model))
            if found is not None and found.was_interrupted:
                found = self._deployments[endpoint, deployed_model] = found.again()
        if found is None:
            raise ContainerError(_NONE_RUNS)
        return found.choose()

    def drop(self, endpoint: str, deployed_model: str) -> None:
        """End a deployment and forget it."""
        found = self._deployments.pop((endpoint, deployed_model), None)
        if found is not None:
            found.close()
