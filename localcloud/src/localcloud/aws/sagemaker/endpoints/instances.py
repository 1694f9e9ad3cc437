"""The processes behind an endpoint: variants, their instances, and how a request finds one.

How it works: an instance is a job of the engine that needs no slot and serves until it is stopped; its containers are
started again when one of them has died. A fleet is everything that one endpoint configuration asks for.

What it does not do: health checks between requests; a dead container is noticed by the next request.
"""

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from localcloud.aws.sagemaker.hosting.container import (
    STARTUP_SECONDS,
    Answer,
    ContainerDiedError,
    ContainerStartError,
    ModelDataError,
)
from localcloud.aws.sagemaker.hosting.instance import ModelInstance, in_own_tree
from localcloud.aws.sagemaker.jobs.cluster import read_cluster
from localcloud.aws.sagemaker.jobs.execution import Surroundings
from localcloud.aws.sagemaker.jobs.failures import JobFailedError, JobStoppedError
from localcloud.aws.sagemaker.jobs.joblog import JobLog
from localcloud.engine.engine import ONE_HOST, Job, Outcome
from localcloud.engine.store import JobStatus

LOG_GROUP = "/aws/sagemaker/Endpoints"
# how long an instance that is no longer needed may finish the requests that it has
DRAIN_SECONDS = 60.0
_RESTART_PAUSE_SECONDS = 1.0


class NoInstanceError(Exception):
    """No instance of the variant can take a request now."""


class ThrottledError(Exception):
    """A serverless variant has as many requests as it may have at once."""


class HostedInstance:
    """One instance of a variant."""

    def __init__(self, surroundings: Surroundings, endpoint: str, variant: Mapping[str, Any]) -> None:
        """Begin to start it."""
        self._surroundings = surroundings
        self._variant = variant
        self._group = f"{LOG_GROUP}/{endpoint}"
        self._stream = f"{variant['VariantName']}/i-{random.getrandbits(68):017x}"
        self._model: ModelInstance | None = None
        self._error: Exception | None = None
        self._settled = threading.Event()
        self._wake = threading.Event()
        self._changed = threading.Condition()
        self.requests = 0
        engine = surroundings.engine
        hosts = (
            read_cluster({"InstanceType": variant["InstanceType"]}).hosts() if "InstanceType" in variant else ONE_HOST
        )
        self._job = engine.prepare("endpoint", f"{endpoint}-{variant['VariantName']}", hosts)
        self._job.stop.on_request(self._wake.set)
        if "InstanceType" in variant:  # serverless has no instances to look at
            dimensions = {"EndpointName": endpoint, "VariantName": variant["VariantName"]}
            surroundings.metrics.watch(self._job, surroundings.region, dimensions)
        engine.submit(self._job, self._serve, needs_slot=False)

    def await_ready(self) -> None:
        """Wait until the models are loaded.

        Raises:
            JobFailedError: they cannot be.
            JobStoppedError: the instance was stopped before.
        """
        self._settled.wait()
        if self._error is not None:
            raise self._error

    @property
    def ready(self) -> bool:
        """Whether it can take a request; a dead one begins to start again."""
        model = self._model
        if model is not None and not model.alive:
            self._replace(model)
        return self._model is not None

    def invoke(self, body: bytes, headers: Mapping[str, str], timeout: float) -> tuple[str, Answer]:
        """Send one request as `ModelInstance.invoke` does."""
        model = self._model
        if model is None:
            raise NoInstanceError
        with self._counted():
            try:
                return model.invoke(body, headers, timeout)
            except ContainerDiedError:
                self._replace(model)
                raise

    def retire(self) -> None:
        """Stop it when it has answered the requests that it has."""
        with self._changed:
            self._changed.wait_for(lambda: self.requests == 0, DRAIN_SECONDS)
        self.stop()

    def stop(self) -> None:
        """End its processes at once; return when they are gone."""
        model, self._model = self._model, None
        self._job.stop.request()
        if model is not None:
            model.close()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._changed:
            self.requests += 1
        try:
            yield
        finally:
            with self._changed:
                self.requests -= 1
                self._changed.notify_all()

    def _replace(self, dead: ModelInstance) -> None:
        with self._changed:
            if self._model is dead:
                self._model = None
                self._wake.set()

    def _serve(self, job: Job) -> Outcome:
        """Keep the model's containers running until the job is stopped."""
        start = 0
        while not job.stop.requested:
            self._wake.clear()
            if job.stop.requested:  # in between
                break
            try:
                self._live_once(job, start)
            except JobStoppedError:
                break
            except Exception as error:  # noqa: BLE001 - whatever it is, the endpoint has to be told
                if not self._settled.is_set():
                    self._error = error
                    self._settled.set()
                    return Outcome(JobStatus.FAILED, str(error))
                self._wake.wait(_RESTART_PAUSE_SECONDS)
            start += 1
        self._error = self._error or JobStoppedError()
        self._settled.set()
        return Outcome(JobStatus.STOPPED)

    def _live_once(self, job: Job, start: int) -> None:
        """Start the containers in a tree of their own and wait until they are no longer wanted or one has died."""
        containers = self._variant["Containers"]
        housed = in_own_tree(job, f"start-{start}")
        with ExitStack() as logs:
            logs.callback(housed.tree.remove)

            def log(container: str) -> JobLog:
                stream = self._stream if len(containers) == 1 else f"{self._stream}/{container}"
                opened = JobLog(self._surroundings.connections, self._surroundings.region, self._group, stream)
                logs.callback(opened.close)
                return opened

            startup = self._variant.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_SECONDS)
            with ModelInstance(self._surroundings, housed, containers, {}, log, startup=startup) as model:
                self._model = model
                self._settled.set()
                self._wake.wait()


class Variant:
    """The instances of one production variant. `description`: the API's ProductionVariant and its Containers."""

    def __init__(self, surroundings: Surroundings, endpoint: str, description: Mapping[str, Any]) -> None:
        """Begin to start its instances."""
        self.name: str = description["VariantName"]
        self.weight: float = description.get("InitialVariantWeight", 1.0)
        serverless = description.get("ServerlessConfig") or {}
        self._most_requests: int | None = serverless.get("MaxConcurrency")
        self._routing = (description.get("RoutingConfig") or {}).get("RoutingStrategy", "RANDOM")
        self._surroundings, self._endpoint, self._description = surroundings, endpoint, description
        self._instances = [self._start() for _ in range(description.get("InitialInstanceCount", 1))]

    def _start(self) -> HostedInstance:
        return HostedInstance(self._surroundings, self._endpoint, self._description)

    def await_ready(self) -> None:
        """Wait for all instances; raises as they do, with the reason in AWS's words."""
        for instance in self._instances:
            try:
                instance.await_ready()
            except ModelDataError as error:
                message = (
                    f'Failed to download model data for container "{error.container}" from URL: "{error.uri}". Please '
                    "ensure that there is an object located at the URL and that the role passed to CreateModel has "
                    "permissions to download the model."
                )
                raise JobFailedError(message) from error
            except ContainerStartError as error:
                message = (
                    f"The {error.container} container for production variant {self.name} did not pass the ping health "
                    "check. Please check CloudWatch logs for this endpoint."
                )
                raise JobFailedError(message) from error

    def invoke(self, body: bytes, headers: Mapping[str, str], timeout: float) -> tuple[str, Answer]:
        """Send one request to one of the instances.

        Raises:
            NoInstanceError: none can take it.
            ThrottledError: a serverless variant has too many already.
        """
        ready = [instance for instance in self._instances if instance.ready]
        if not ready:
            raise NoInstanceError
        if self._most_requests is not None and sum(instance.requests for instance in ready) >= self._most_requests:
            raise ThrottledError
        if self._routing == "LEAST_OUTSTANDING_REQUESTS":
            chosen = min(ready, key=lambda instance: instance.requests)
        else:
            chosen = random.choice(ready)  # noqa: S311 - no secret
        return chosen.invoke(body, headers, timeout)

    def scale(self, count: int) -> None:
        """Start or retire instances until there are `count`; raises as `await_ready` does and keeps what there was."""
        before = list(self._instances)
        added = [self._start() for _ in range(count - len(before))]
        self._instances = before + added
        try:
            self.await_ready()
        except (JobFailedError, JobStoppedError):
            self._instances = before
            for instance in added:
                instance.stop()
            raise
        surplus, self._instances = self._instances[count:], self._instances[:count]
        for instance in surplus:
            instance.retire()

    def retire(self) -> None:
        """Stop the instances when they have answered what they have."""
        for instance in self._instances:
            instance.retire()

    def stop(self) -> None:
        """End the instances at once."""
        for instance in self._instances:
            instance.stop()


class Fleet:
    """The variants of one endpoint configuration."""

    def __init__(self, surroundings: Surroundings, endpoint: str, variants: Sequence[Mapping[str, Any]]) -> None:
        """Begin to start them."""
        self.variants = {item["VariantName"]: Variant(surroundings, endpoint, item) for item in variants}

    def await_ready(self) -> None:
        """Wait until all variants can serve; end all of them and raise when one cannot."""
        try:
            for variant in self.variants.values():
                variant.await_ready()
        except Exception:
            self.stop()
            raise

    def choose(self) -> Variant:
        """Return a variant at random, by weight."""
        variants = list(self.variants.values())
        weights = [variant.weight for variant in variants]
        if not any(weights):
            weights = [1.0] * len(variants)
        return random.choices(variants, weights)[0]  # noqa: S311 - no secret

    def retire(self) -> None:
        """Stop all variants when they have answered what they have."""
        for variant in self.variants.values():
            variant.retire()

    def stop(self) -> None:
        """End all variants at once."""
        for variant in self.variants.values():
            variant.stop()
