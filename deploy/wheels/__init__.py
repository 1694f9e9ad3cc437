"""Wheels for platforms whose pip knows no overrides: published ones whose metadata alone was corrected."""
