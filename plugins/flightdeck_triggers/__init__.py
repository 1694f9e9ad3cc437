"""Flightdeck's triggers: what the triggerer, which sees the plugins folder and not the DAGs' code, has to import."""
