# One recipe for every image: docker build --build-arg SERVICE=data|backtest|optimizer|cli .
ARG SERVICE

FROM python:3.12-slim AS dependencies
ARG SERVICE
RUN python -m venv --without-pip /opt/assay
COPY deploy/locks/${SERVICE}.lock service.lock
# Wheels only: the image has no compiler, and nothing of a package runs while it is installed.
RUN --mount=type=cache,target=/var/cache/pip \
    pip --python /opt/assay/bin/python install --cache-dir /var/cache/pip --disable-pip-version-check \
      --root-user-action=ignore --only-binary=:all: --require-hashes -r service.lock

# What an image holds of the project: its own package, what all share, and the project's version.
FROM python:3.12-slim AS source
ARG SERVICE
WORKDIR /project
COPY . .
RUN <<'SCRIPT'
set -eu
install -d /code/services /code/protos /code/assay.dist-info
cp services/__init__.py /code/services/
cp -R services/common /code/services/
cp -R protos/gen /code/protos/
if [ "$SERVICE" = cli ]; then cp -R cli /code/; else cp -R "services/$SERVICE" /code/services/; fi
python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]
print("Metadata-Version: 2.1", "Name: " + p["name"], "Version: " + p["version"], sep="\n")' \
  >/code/assay.dist-info/METADATA
# Whole seconds survive every transport of an image; numba drops kernels whose source has another time.
find /code -name '*.py' -exec touch --date=@1700000000 {} +
python -m compileall -q -s /code -p /opt/assay/code /code
SCRIPT

FROM python:3.12-slim AS runtime
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/assay --shell /usr/sbin/nologin assay \
 && install -d -o assay -g assay /var/lib/assay /var/cache/numba /opt/assay/kernels \
 && printf '#!/bin/sh\nexec python -m cli "$@"\n' >/usr/local/bin/assay && chmod 755 /usr/local/bin/assay
COPY --from=dependencies /opt/assay /opt/assay
COPY --from=source /code /opt/assay/code
WORKDIR /opt/assay/code
ENV PATH=/opt/assay/bin:$PATH \
    PYTHONPATH=/opt/assay/code:/opt/assay/code/protos/gen \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# By number, so that a cluster can see that it is not root.
USER 10001:10001

# The root file system may be read-only; what is written goes to ASSAY_HOME, NUMBA_CACHE_DIR and /tmp.
FROM runtime AS service
ENV ASSAY_HOME=/var/lib/assay
STOPSIGNAL SIGTERM
# With TLS the plain-text port of health alone is asked.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=3 \
  CMD address=${ASSAY_HEALTH_ADDRESS:-$ASSAY_LISTEN_ADDRESS}; exec python -m services.common.probe "${address##*:}"

FROM service AS data
ENV ASSAY_LISTEN_ADDRESS=0.0.0.0:50051
EXPOSE 50051
ENTRYPOINT ["python", "-m", "services.data"]

FROM service AS backtest
ENV ASSAY_LISTEN_ADDRESS=0.0.0.0:50052 \
    NUMBA_CACHE_DIR=/var/cache/numba \
    NUMBA_NUM_THREADS=1
EXPOSE 50052
# Kernels are compiled here; a machine with other CPU features compiles its own when it starts.
RUN NUMBA_CACHE_DIR=/opt/assay/kernels \
    python -c "from services.backtest.core.warm_up import warm_up; warm_up(indicators=True)"
# numba wants a folder that it may write to, and a read-only container's is empty at first.
ENTRYPOINT ["sh", "-c", "[ \"$(ls -A \"$NUMBA_CACHE_DIR\")\" ] || cp -R /opt/assay/kernels/. \"$NUMBA_CACHE_DIR\"; exec python -m services.backtest"]

FROM service AS optimizer
ENV ASSAY_LISTEN_ADDRESS=0.0.0.0:50053
EXPOSE 50053
ENTRYPOINT ["python", "-m", "services.optimizer"]

# The command line, for batch jobs; it ends with what it was asked to do.
FROM runtime AS cli
ENTRYPOINT ["assay"]

FROM ${SERVICE}
