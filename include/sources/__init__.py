"""How the months of each source are read, what contract they keep, and how they come into the lake."""
