"""Flightdeck's rooms: everything that the DAGs call and the cloud jobs run."""
