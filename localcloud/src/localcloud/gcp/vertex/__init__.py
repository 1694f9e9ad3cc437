"""Vertex AI v1 over gRPC, whose jobs and models really run."""
