"""The exceptions that reach the command line, as one tree.

LocalCloudError
├── PortUnavailableError   the address cannot be bound
├── RootInUseError         another cloud already runs on this root
├── NotRunningError        no cloud runs on this root
├── StopTimeoutError       a cloud did not end when it was asked to
├── SeedError              the seed file is unreadable or breaks a rule
├── ImagesError            the images file is unreadable or breaks a rule
├── StateError             the state of an earlier server cannot be read here
├── GoogleUnavailableError  the Google half must run, and its packages are not installed
└── IsolationUnavailableError  the isolation that was asked for does not work on this machine

Each message names what, where, the rule and the remedy, because it is all the user sees (no traceback).
Errors inside a job are not here: they become the job's failure reason.
"""


class LocalCloudError(Exception):
    """Ends the command with its message and exit code 1."""


class PortUnavailableError(LocalCloudError):
    """The address cannot be bound."""


class RootInUseError(LocalCloudError):
    """Another cloud already runs on this root."""


class NotRunningError(LocalCloudError):
    """No cloud runs on this root."""


class StopTimeoutError(LocalCloudError):
    """A cloud did not end when it was asked to."""


class SeedError(LocalCloudError):
    """The seed file is unreadable or breaks a rule."""


class ImagesError(LocalCloudError):
    """The images file is unreadable or breaks a rule."""


class StateError(LocalCloudError):
    """The state of an earlier server cannot be read here."""


class GoogleUnavailableError(LocalCloudError):
    """The Google half must run, and its packages are not installed."""


class IsolationUnavailableError(LocalCloudError):
    """The isolation that was asked for does not work on this machine."""
