"""How the next point of a search for hyperparameters is chosen. Knows no cloud."""
