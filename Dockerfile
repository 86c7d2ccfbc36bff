# One image for every process: the API (the default command), the call worker and the Retell simulator.
#   docker build -t cadencia:local .

FROM python:3.11-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1

# Without pip: nothing is installed into what runs.
RUN python -m venv --without-pip /opt/venv

# First the packages, which change seldom. Every one is the one that was locked, and comes as a wheel: nothing is
# compiled, and no code of a package runs before it is installed.
COPY requirements/runtime.txt /tmp/runtime.txt
RUN pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes --only-binary=:all: -r /tmp/runtime.txt \
    && pip --python /opt/venv/bin/python check

COPY app /srv/cadencia/app
COPY workers /srv/cadencia/workers
COPY scripts /srv/cadencia/scripts
# The user of the final image cannot write here, so Python could not keep what it compiles at the first start.
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /srv/cadencia


FROM python:3.11-slim

ARG VERSION=0.1.0
ARG REVISION=unknown

LABEL org.opencontainers.image.title="Cadencia" \
      org.opencontainers.image.description="Outbound AI call campaigns" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

ENV PATH="/opt/venv/bin:${PATH}" \
    PYTHONUNBUFFERED=1 \
    PYTHONFAULTHANDLER=1

RUN groupadd --system --gid 10001 cadencia \
    && useradd --system --uid 10001 --gid cadencia --no-create-home --home-dir /nonexistent \
       --shell /usr/sbin/nologin cadencia

COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/cadencia /srv/cadencia

WORKDIR /srv/cadencia
USER 10001:10001

EXPOSE 8000

# uvicorn and the worker handle it themselves, also as process 1, so there is no init in between.
STOPSIGNAL SIGTERM

# Of the API; docker-compose.yml has others for the other processes. Whether it lives: restarting it would not bring back
# a MongoDB that is away (/health/ready tells that). http.client, because urllib would ask a proxy that the environment names.
HEALTHCHECK --interval=15s --timeout=6s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', 8000, timeout=5); c.request('GET', '/health/live'); sys.exit(c.getresponse().status != 200)"]

CMD ["uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8000"]
