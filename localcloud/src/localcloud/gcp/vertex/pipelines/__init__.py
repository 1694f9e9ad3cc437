"""Training pipelines: a custom job, and the model that it leaves."""
