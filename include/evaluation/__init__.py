"""Whether a candidate is good enough to be released: pure decisions on figures."""
