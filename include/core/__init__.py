"""What every room may use: the typed model.yaml, months, the lake's objects and paths, due months, errors."""
