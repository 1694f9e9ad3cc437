"""Endpoints: models that wait for requests."""
