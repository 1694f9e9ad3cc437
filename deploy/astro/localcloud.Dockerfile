# The local cloud beside `astro dev start`'s containers, built from this repository:
#
#     docker build --file deploy/astro/localcloud.Dockerfile --tag flightdeck-localcloud .
#
# It knows nothing of Flightdeck: the seed file is mounted by docker-compose.override.yml.
FROM python:3.12-slim

RUN pip install --no-cache-dir uv==0.13.9 && useradd --uid 10001 --create-home cloud

WORKDIR /opt/localcloud
ENV UV_PROJECT_ENVIRONMENT=/opt/localcloud/environment \
    UV_PYTHON_DOWNLOADS=never
COPY pyproject.toml uv.lock ./
COPY localcloud localcloud
RUN uv sync --frozen --no-cache --no-default-groups --no-editable --package localcloud --compile-bytecode

# The folders exist before the user does anything, so that volumes on them belong to it.
ENV PATH=/opt/localcloud/environment/bin:$PATH \
    LOCALCLOUD_ROOT=/var/lib/localcloud \
    LOCALCLOUD_ENVIRONMENTS=/var/cache/localcloud
RUN install --directory --owner=cloud /var/lib/localcloud /var/cache/localcloud
USER 10001
WORKDIR /var/lib/localcloud
EXPOSE 4567
ENTRYPOINT ["localcloud"]
# Inside a container, 127.0.0.1 is the container alone. Publish the port on the host's 127.0.0.1 only: anybody who reaches
# it can start jobs.
CMD ["up", "--host", "0.0.0.0"]
