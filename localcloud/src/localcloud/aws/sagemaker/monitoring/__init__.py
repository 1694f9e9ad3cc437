"""Monitoring: job definitions and schedules for data quality, their executions, the analyzer."""
