FROM python:3.11-slim AS environment
COPY requirements/core.lock /tmp/core.lock
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir --no-deps -r /tmp/core.lock

FROM python:3.11-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app/platform/src:/app/guardrails/src:/app/gpu_agent/src:/app/collectors/src \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=stanchion_server.config.settings \
    STANCHION_STATIC_ROOT=/srv/static
COPY --from=environment /opt/venv /opt/venv
COPY platform/src /app/platform/src
COPY guardrails/src /app/guardrails/src
COPY gpu_agent/src /app/gpu_agent/src
COPY collectors/src /app/collectors/src
RUN python -m compileall -q /app && STANCHION_ALLOW_EPHEMERAL_SECRET=1 python -P -m django collectstatic --noinput --verbosity 0
# Not /app: `import platform` and `import guardrails` must not find our folders.
WORKDIR /srv
USER 10001:10001
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--blocking-threads", "16", "--backpressure", "256", "--http", "1", "--no-ws", "stanchion_server.config.wsgi:application"]
