# The image of the dependencies, and of the package for use without a checkout: `make image`, `make sif`
# (docs/image.md). Jobs run the checkout that is mounted over it. CUDA comes with PyTorch's wheels, so
# the base needs Debian 12 and Python 3.11 alone; `make base-digest` prints the digest to pin it by.
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS system
# What the simulators load, git for DVC, and g++ with Python's headers for torch.compile at run time
# (python3-dev only where the base's Python comes from Debian, without them).
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates g++ git libegl1 libgl1 libglib2.0-0 libosmesa6 libvulkan1 libxext6 \
    && { test -e "$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" \
        || apt-get install -y --no-install-recommends python3-dev; } \
    && rm -rf /var/lib/apt/lists/*
# Where EGL and Vulkan look for NVIDIA's driver, which the container runtime mounts. Without it both
# go on to the next.
RUN mkdir -p /usr/share/glvnd/egl_vendor.d /usr/share/vulkan/icd.d \
    && echo '{"file_format_version": "1.0.0", "ICD": {"library_path": "libEGL_nvidia.so.0"}}' \
        > /usr/share/glvnd/egl_vendor.d/10_nvidia.json \
    && echo '{"file_format_version": "1.0.0", "ICD": {"library_path": "libGLX_nvidia.so.0", "api_version": "1.3.0"}}' \
        > /usr/share/vulkan/icd.d/nvidia_icd.json

FROM system AS environment
COPY requirements.lock /opt/cdred/
RUN python3 -m venv /opt/cdred \
    && /opt/cdred/bin/pip install --no-cache-dir --disable-pip-version-check \
        --no-deps --require-hashes --requirement /opt/cdred/requirements.lock

FROM environment AS package
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY cdred cdred
RUN /opt/cdred/bin/pip wheel --no-cache-dir --disable-pip-version-check \
        --no-deps --no-build-isolation --wheel-dir /dist .

FROM system
COPY --from=environment /opt/cdred /opt/cdred
COPY --from=package /dist /tmp/dist
COPY --chmod=755 scripts/dvc /opt/cdred/bin/dvc
RUN /opt/cdred/bin/pip install --no-cache-dir --disable-pip-version-check \
        --no-deps --no-index /tmp/dist/*.whl \
    && rm -r /tmp/dist \
    # A checkout that another user owns is what one mounts.
    && git config --system --add safe.directory '*' \
    # Any user may run this: `docker run --user` has no home of its own.
    && useradd --uid 1000 --create-home cdred && chmod 1777 /home/cdred
# PYTHONPATH: the checkout mounted at /work goes before the package (Apptainer: cdred/system/container.py).
# USER: PyTorch asks for a name, which a user id without an account does not have.
ENV PATH=/opt/cdred/bin:$PATH \
    PYTHONPATH=/work \
    PYTHONNOUSERSITE=1 \
    HOME=/home/cdred \
    USER=cdred \
    DVC_NO_ANALYTICS=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics
WORKDIR /work
USER cdred
CMD ["cdred", "--help"]

# Last: a new commit makes no other layer anew.
ARG BASE_IMAGE
ARG GIT_COMMIT=unknown
ARG LOCK_SHA256=unknown
LABEL org.opencontainers.image.title="cdred" \
      org.opencontainers.image.description="CDRED (arXiv 2505.02228) as a DAG of cached stages" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="${GIT_COMMIT}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      cdred.lock.sha256="${LOCK_SHA256}"
