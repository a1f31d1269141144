# One image for each kind of process: `docker build --target venue .`, core, gateway, mcp or tools. A container
# says which process it is:
#
#     docker run venuemesh-venue venue binance
#     docker run venuemesh-core run recorder
#     docker run venuemesh-tools export …
#
# The bases are exact versions. To pin them by digest, which does not change even if somebody replaces
# the version: `docker buildx imagetools inspect python:3.11.14-slim-bookworm` prints it, then build with
# --build-arg PYTHON_IMAGE=python:3.11.14-slim-bookworm@sha256:…
#
# A mirror or a proxy of packages is the business of the machine that builds. Where there is one:
#
#     docker build --secret id=pip_config,src=PIP.CONF --secret id=npm_config,src=NPMRC .
#
# With --build-arg STUDIO=ready, Studio is not built but taken from studio/dist as it is; NODE_IMAGE may
# then be any image. With an empty COMPILER nothing is compiled, and frames are read more slowly.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm
ARG NODE_IMAGE=node:24.21.0-bookworm-slim


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


# The code with what is made of it: stubs, the compiled reader, bytecode.
FROM ${PYTHON_IMAGE} AS code
ARG COMPILER="gcc libc6-dev"
WORKDIR /app
# hadolint ignore=DL3008,SC2086
RUN if [ -n "${COMPILER}" ]; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends ${COMPILER} \
        && rm -rf /var/lib/apt/lists/*; \
    fi
ENV PATH=/opt/build/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/build
# The stubs need one package more than the images: grpcio-tools.
COPY requirements.lock ./
RUN --mount=type=secret,id=pip_config \
    PIP_CONFIG_FILE=/run/secrets/pip_config \
    python -m pip install --no-deps --require-hashes --requirement requirements.lock
COPY proto ./proto
COPY ops/__init__.py ops/grpc_stubs.py ./ops/
RUN python -m ops.grpc_stubs
COPY kit ./kit
COPY venues ./venues
COPY core ./core
COPY gateway ./gateway
COPY ops ./ops
COPY schema ./schema
COPY strategies ./strategies
# Compiled once here, as the file system may be read-only later.
RUN python -m ops.native_build \
    && python -m compileall -q --invalidation-mode unchecked-hash kit venues core gateway ops gen


# The packages of an image, in an environment without pip.
FROM ${PYTHON_IMAGE} AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv --without-pip /opt/venv
COPY requirements/*.lock /requirements/

FROM packages AS venue-packages
RUN --mount=type=secret,id=pip_config \
    PIP_CONFIG_FILE=/run/secrets/pip_config python -m pip --python /opt/venv/bin/python install \
        --no-deps --require-hashes --requirement /requirements/venue.lock

FROM packages AS core-packages
RUN --mount=type=secret,id=pip_config \
    PIP_CONFIG_FILE=/run/secrets/pip_config python -m pip --python /opt/venv/bin/python install \
        --no-deps --require-hashes --requirement /requirements/core.lock

FROM packages AS gateway-packages
RUN --mount=type=secret,id=pip_config \
    PIP_CONFIG_FILE=/run/secrets/pip_config python -m pip --python /opt/venv/bin/python install \
        --no-deps --require-hashes --requirement /requirements/gateway.lock

FROM packages AS mcp-packages
RUN --mount=type=secret,id=pip_config \
    PIP_CONFIG_FILE=/run/secrets/pip_config python -m pip --python /opt/venv/bin/python install \
        --no-deps --require-hashes --requirement /requirements/mcp.lock

FROM packages AS tools-packages
RUN --mount=type=secret,id=pip_config \
    PIP_CONFIG_FILE=/run/secrets/pip_config python -m pip --python /opt/venv/bin/python install \
        --no-deps --require-hashes --requirement /requirements/tools.lock


FROM ${PYTHON_IMAGE} AS process
# A new volume takes over the owner of the folder on which it is mounted.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data venuemesh \
    && install --directory --owner=10001 --group=10001 \
        /data /data/envoy /data/keys /data/keys/authority /data/prometheus /run/venuemesh /tokens
WORKDIR /app
COPY --from=code /app /app
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


# Venues and the simulated exchanges.
FROM process AS venue
COPY --from=venue-packages /opt/venv /opt/venv

# The registry, which serves Studio.
FROM process AS gateway
COPY --from=gateway-packages /opt/venv /opt/venv
COPY --from=studio /build/studio/dist ./studio/dist

# The door for models, with the documents that they may read.
FROM process AS mcp
COPY docs/SCHEMA.md docs/STRATEGIES.md ./docs/
COPY docs/strategies ./docs/strategies
COPY --from=mcp-packages /opt/venv /opt/venv

# The command line: export, import, order, status.
FROM process AS tools
COPY --from=tools-packages /opt/venv /opt/venv
HEALTHCHECK NONE

# The core services, and the migration of the database.
FROM process AS core
COPY --from=core-packages /opt/venv /opt/venv
