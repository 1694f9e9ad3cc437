"""The laptop as the place this project is run on: local clouds, a real Airflow, and months of real data that land.

Run its programs from the project's root, usually by way of the Makefile::

    python -m deploy.laptop.demo       the pipeline from landing to scores, verified, then everything stops
    python -m deploy.laptop.up         the same services, left running, with Airflow's pages
    python -m deploy.laptop.landing    one more month into clouds that run

The parts, from the bottom up: processes (a child process and its end), profile (Airflow's environment), cloud and
airflow_services (what runs), airflow_rest (how it is asked), flights_package and landing (the data that arrives),
quiet (when the next month may land), summary and verifier (what happened, and whether it is true).

What is not here: anything a managed platform needs, and anything the DAGs import.
"""
