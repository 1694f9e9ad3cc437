"""Every exception that Flightdeck raises on purpose, in one tree.

    FlightdeckError
    ├── TerminalError            trying again changes nothing: fail now
    │   ├── SpecError            a model.yaml that breaks a rule
    │   ├── ContractViolation    a month of a source that breaks its data contract
    │   ├── FeatureCheckFailed   features that break a check: duplicate keys, missing rows, a leaked label
    │   ├── EvaluationRefused    a comparison that would not be fair: the holdout was trained on
    │   ├── ArtifactError        an artifact that is missing, empty or not the one that was recorded
    │   ├── RemoteJobFailed      a cloud's job that did not end well
    │   ├── RequestsNotCompiled  compiled job requests that are missing, stale or not the ones that a task fills
    │   ├── RequestConflict      a cloud's job that runs for the task with another request
    │   ├── RequestRefused       a request that the cloud does not accept
    │   └── AstroSdkRefused      what the Astro SDK cannot do here, or a version of it that was not tested
    └── TransientError           trying again can help
        ├── RecordConflict       somebody else wrote the same promotion record at the same moment
        ├── RemoteJobInterrupted a cloud's job that ended for want of machines, or by the cloud's own fault
        └── WarehouseLocked      another process held a database's file for longer than a task waits

A message says what is wrong, where, which rule it breaks and what to do about it. Not here: exceptions of Airflow or
of a cloud, which pass through unchanged.
"""

from __future__ import annotations


class FlightdeckError(Exception):
    """Base of the tree; builds the one form of message.

    Args:
        where: The file, object or field that is wrong.
        what: The value that was found, or what happened.
        rule: The rule that it breaks.
        remedy: What the reader can do about it.
    """

    def __init__(self, where: str, what: str, *, rule: str, remedy: str) -> None:
        super().__init__(f"{where}: {what}. Rule: {rule}. Remedy: {remedy}.")
        self.where = where
        self.what = what
        self.rule = rule
        self.remedy = remedy


class TerminalError(FlightdeckError):
    """Trying again changes nothing."""


class TransientError(FlightdeckError):
    """Trying again can help."""


class SpecError(TerminalError):
    """A model.yaml breaks a rule."""


class ContractViolation(TerminalError):
    """A month of a source breaks its data contract."""


class FeatureCheckFailed(TerminalError):
    """A month's features break a check."""


class EvaluationRefused(TerminalError):
    """A comparison of models would not be fair."""


class ArtifactError(TerminalError):
    """An artifact is missing, empty or not the one that was recorded."""


class RemoteJobFailed(TerminalError):
    """A cloud's job ended as failed or stopped."""


class RequestsNotCompiled(TerminalError):
    """A model's compiled requests are missing, stale, or have other placeholders than those that a task fills."""


class RequestConflict(TerminalError):
    """A cloud's job runs for the task with another request than the task's."""


class RequestRefused(TerminalError):
    """A cloud does not accept a job's request."""


class AstroSdkRefused(TerminalError):
    """The Astro SDK cannot do on Airflow 3 what it was asked for, or it is a version that was not tested."""


class RecordConflict(TransientError):
    """Another writer created the same promotion record first."""


class RemoteJobInterrupted(TransientError):
    """A cloud's job ended, or cannot be followed, for a reason that is the cloud's."""


class WarehouseLocked(TransientError):
    """Another process held a database's file for longer than a task waits."""
