"""A laptop's clouds: public cloud APIs on loopback whose machine-learning jobs really execute.

No account, no Docker, no network beyond the package index that jobs' requirements come from. This package knows
nothing of the project that uses it; everything it needs is passed on the command line.
"""
