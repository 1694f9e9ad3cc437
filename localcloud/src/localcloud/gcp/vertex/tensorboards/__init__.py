"""TensorBoards: the metrics over time of experiments."""
