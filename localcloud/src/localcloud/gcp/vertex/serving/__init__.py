"""A model as a local process that answers by Vertex AI's contract for prediction containers."""
