"""What the kinds of job of Vertex AI share: record, images, worker pools, /gcs, log, how an end is told."""
