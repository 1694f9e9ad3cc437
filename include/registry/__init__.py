"""A model's promotion records and their mirrors in the clouds' registries."""
