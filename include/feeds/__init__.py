"""How ``ingest`` waits for what sources deliver: operators, deferred."""
