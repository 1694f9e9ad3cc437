"""SageMaker: moto's records, with jobs that execute. One folder per kind of resource; `service` puts them together."""
