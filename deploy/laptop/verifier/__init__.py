"""Whether what the pipeline says of itself is true, found out by code that it does not share.

``recompute`` runs in a job's environment: loads the released artifacts by itself and predicts again, with labels from
the data package. ``driver`` fetches what the lake holds and runs it. ``checks`` compares claims with findings.

Nothing here imports ``include``: a mistake there must not be made here as well.
"""
