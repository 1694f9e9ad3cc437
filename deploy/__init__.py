"""The places this project is run on, one folder each."""
