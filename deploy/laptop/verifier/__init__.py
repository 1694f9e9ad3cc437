"""Whether what the pipeline says of itself is true, found out by code that it does not share.

``driver`` fetches what the lake holds and has it recomputed. ``recompute`` runs in a job's environment: loads the
released artifacts by itself, predicts again, with labels from the data package, and looks at the plots.
``recompute_drift`` measures again how far each month's features lie from a version's training months. ``checks``,
``checks_monitoring`` and ``checks_rules`` compare claims with findings; a ``Verdict`` is what comes of it.

Nothing here imports ``include``: a mistake there must not be made here as well. Of model.yaml the bounds are read that
decisions are made by.
"""
