"""What all kinds of job share: record, log, image, failure reason, the checks of a request."""
