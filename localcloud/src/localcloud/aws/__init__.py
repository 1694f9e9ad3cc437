"""AWS on loopback: moto's server, with SageMaker jobs that really execute. Every other service stays moto's."""
