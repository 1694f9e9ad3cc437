# The image of every Airflow component, on Astro and for `astro dev start`. The -base flavour leaves the installation to
# this file: the plain one installs requirements.txt before it has seen pyproject.toml, which holds the constraints and
# overrides of [tool.uv] that the installation needs. `astro dev start --standalone` reads nothing but the tag.
FROM astrocrpublic.azurecr.io/runtime:3.3-8-python-3.12-base

WORKDIR /usr/local/airflow

USER 0
COPY pyproject.toml requirements.txt packages.txt ./
# Airflow's own version stays the image's; the second requirement makes any other outcome an error.
RUN /usr/local/bin/install-system-packages \
    && uv pip install --system --no-cache --compile-bytecode -r requirements.txt apache-airflow==3.3.2

# As on Amazon MWAA; deploy/laptop/profile.py is the source. Where the manager answers and who asks is the environment's.
# hadolint ignore=DL3064 # where secrets are kept is no secret
ENV AIRFLOW__SECRETS__BACKEND="airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend" \
    AIRFLOW__SECRETS__BACKEND_KWARGS='{"connections_prefix": "airflow/connections", "connections_lookup_pattern": "^(?!aws_default(?!.)).+", "variables_prefix": "airflow/variables"}'

# hadolint ignore=DL3066 # the runtime image's own user, by the name that the CLI gives it too
USER astro
COPY --chown=astro:0 . .
