"""One folder per model: all that a user replaces to bring a model of their own."""
