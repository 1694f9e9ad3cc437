"""Hyperparameter tuning: trials, each a custom job."""
