"""Endpoints: their configurations, the processes behind them, and what answers invocations."""
