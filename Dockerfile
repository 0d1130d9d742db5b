# One recipe for the three services: docker build --build-arg SERVICE=data|backtest|optimizer .
ARG SERVICE

FROM python:3.12-slim AS dependencies
ARG SERVICE
RUN python -m venv --without-pip /opt/assay
COPY deploy/locks/${SERVICE}.lock service.lock
# Wheels only: the image has no compiler, and nothing of a package runs while it is installed.
RUN --mount=type=cache,target=/var/cache/pip \
    pip --python /opt/assay/bin/python install --cache-dir /var/cache/pip --disable-pip-version-check \
      --root-user-action=ignore --only-binary=:all: --require-hashes -r service.lock

FROM python:3.12-slim AS runtime
ARG SERVICE
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/assay --shell /usr/sbin/nologin assay \
 && install -d -o assay -g assay /var/lib/assay /var/cache/numba
COPY --from=dependencies /opt/assay /opt/assay
WORKDIR /opt/assay/code
COPY protos/gen protos/gen
COPY services/__init__.py services/__init__.py
COPY services/common services/common
COPY services/${SERVICE} services/${SERVICE}
ENV PATH=/opt/assay/bin:$PATH \
    PYTHONPATH=/opt/assay/code:/opt/assay/code/protos/gen \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/var/cache/numba \
    ASSAY_HOME=/var/lib/assay
# Whole seconds survive every transport of an image; numba drops kernels whose source has another time.
RUN find services protos -name '*.py' -exec touch --date=@1700000000 {} + \
 && python -m compileall -q services protos
USER assay

FROM runtime AS data
ENV ASSAY_LISTEN_ADDRESS=0.0.0.0:50051
EXPOSE 50051
ENTRYPOINT ["python", "-m", "services.data"]

FROM runtime AS backtest
ENV ASSAY_LISTEN_ADDRESS=0.0.0.0:50052
EXPOSE 50052
ENTRYPOINT ["python", "-m", "services.backtest"]
# Kernels are compiled here; a machine with other CPU features compiles its own when it starts.
RUN python -c "from services.backtest.core.warm_up import warm_up; warm_up(indicators=True)"

FROM runtime AS optimizer
ENV ASSAY_LISTEN_ADDRESS=0.0.0.0:50053
EXPOSE 50053
ENTRYPOINT ["python", "-m", "services.optimizer"]

FROM ${SERVICE}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=3 \
  CMD python -m services.common.probe "$(h=${ASSAY_HEALTH_ADDRESS:-$ASSAY_LISTEN_ADDRESS}; echo "${h##*:}")"
