"""Remote jobs on managed platforms: what is sent, under which name, and what counts as done."""
