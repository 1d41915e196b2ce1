# syntax=docker/dockerfile:1
# The worker as an image. Build: docker build -t evaljob .
# Run: docker run -v "$PWD/config.yaml:/etc/evaljob/config.yaml:ro" -v "$PWD/sql:/etc/evaljob/sql:ro" evaljob

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/evaljob
WORKDIR /src
# The dependencies first: this layer stays as long as the lock file does, whatever happens to the source.
COPY requirements-runtime.lock ./
RUN /opt/evaljob/bin/pip install --no-deps --only-binary :all: --no-binary pyhive,pure-sasl \
        --require-hashes --requirement requirements-runtime.lock
COPY pyproject.toml README.md ./
COPY evaljob ./evaljob
RUN /opt/evaljob/bin/pip install --no-deps --no-build-isolation . \
    && /opt/evaljob/bin/pip check \
    && /opt/evaljob/bin/pip uninstall --yes setuptools pip

FROM python:3.11.14-slim-bookworm
RUN useradd --uid 10001 --user-group --create-home --home-dir /var/lib/evaljob --shell /usr/sbin/nologin evaljob
COPY --from=build /opt/evaljob /opt/evaljob
ENV PATH=/opt/evaljob/bin:$PATH PYTHONUNBUFFERED=1
USER evaljob
# Where relative paths of a state store lie: mount a volume here to keep the state between containers.
WORKDIR /var/lib/evaljob
# `worker.port` of the configuration. To reach it from outside the container set `worker.host` to 0.0.0.0.
EXPOSE 9108
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9108/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["evaljob"]
CMD ["worker", "--config", "/etc/evaljob/config.yaml"]
