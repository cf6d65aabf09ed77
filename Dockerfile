# Two stages: the first resolves nothing (every dependency is pinned with its hash) and builds the
# wheel; the second holds the virtual environment alone.
#
# The base is pinned by the digest of its index, so it holds for every platform, and what is built
# today is what was tested. To take a newer one, with its security fixes:
#   docker buildx imagetools inspect python:3.11-slim-bookworm     (the line `Digest:`)
ARG BASE_IMAGE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

# What is installed: `run`, or `all` with what `mirror annotations` and `preview` need beyond tables
# in CSV (--build-arg LOCK=all; 500 MB more).
ARG LOCK=run

FROM ${BASE_IMAGE} AS builder
ARG BASE_IMAGE
ARG LOCK
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_COMPILE=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# no pip in the environment that is shipped
RUN python -m venv --without-pip /opt/mirror && python -m venv --without-pip /opt/build
COPY requirements/run.txt requirements/all.txt requirements/build.txt requirements/sbom.py requirements/
RUN pip --python /opt/mirror/bin/python install --require-hashes --only-binary :all: \
        -r requirements/${LOCK}.txt \
 && pip --python /opt/build/bin/python install --require-hashes --only-binary :all: \
        -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY mirror mirror
RUN pip --python /opt/build/bin/python wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/mirror/bin/python install --no-deps --no-index dist/savant_mirror-*.whl \
 # the root file system may be read-only, so bytecode is made here and never checked again
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/mirror/lib \
 && python requirements/sbom.py --base "${BASE_IMAGE}" --lock "${LOCK}" > /opt/mirror/sbom.cdx.json

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="savant-mirror" \
      org.opencontainers.image.description="Brings every frame of a SAVANT export onto your storage" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=builder /opt/mirror /opt/mirror
# a volume that is mounted here for the first time inherits the owner
RUN install -d -m 0700 -o 10001 -g 10001 /data
ENV PATH=/opt/mirror/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /data
USER 10001:10001
STOPSIGNAL SIGTERM
# No HEALTHCHECK: only `watch` serves one; deploy/compose.yaml and deploy/kubernetes ask it there.
ENTRYPOINT ["mirror"]
CMD ["--help"]
