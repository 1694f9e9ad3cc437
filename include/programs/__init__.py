"""What runs inside a cloud job beside a model's own code. Each file here is copied into that job and stands alone."""
