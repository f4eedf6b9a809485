# The server image: the wheel and the pinned dependencies in a virtual environment, no compiler, no root.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# Every wheel is checked against the lock here; all that follows installs from this folder alone.
COPY requirements.lock ./
RUN pip download --require-hashes --only-binary :all: --dest /wheels --requirement requirements.lock
COPY . .
RUN pip wheel --no-index --find-links /wheels --no-deps --wheel-dir /dist . \
 && python -m venv --without-pip /opt/reviewbot \
 && pip --python /opt/reviewbot/bin/python install --no-index --find-links /wheels /dist/*.whl

FROM ${PYTHON_IMAGE}
RUN groupadd --system --gid 10001 reviewbot \
 && useradd --system --uid 10001 --gid reviewbot --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin reviewbot \
 && install -d -o reviewbot -g reviewbot -m 700 /var/lib/reviewbot
COPY --from=build /opt/reviewbot /opt/reviewbot
ENV PATH=/opt/reviewbot/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOST=0.0.0.0 PORT=3000 DATA_DIR=/var/lib/reviewbot
USER 10001:10001
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["reviewbot"]
CMD ["serve"]
