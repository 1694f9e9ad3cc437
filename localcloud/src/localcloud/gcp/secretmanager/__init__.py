"""Secret Manager v1 over gRPC, as google-cloud-secret-manager and Airflow's CloudSecretManagerBackend call it.

    names      the names of secrets and versions, read strictly
    store      what is kept, in SQLite
    service    the methods, with the states and refusals of the documentation
    rpc        the methods as a gRPC handler

Source: https://cloud.google.com/secret-manager/docs/reference/rpc/google.cloud.secretmanager.v1

What it does not do: regional secrets (`projects/*/locations/*`), access policies, rotation and its notifications (the
fields are kept, nothing is sent). Names in answers carry the project as the request spelt it, where Google's carry the
project's number.
"""
