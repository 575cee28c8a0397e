"""Django settings. Every STANCHION_* variable is described in docs/configuration.md; a test compares the two."""

from __future__ import annotations

import os
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from stanchion_server.config import logging, schedule
from stanchion_server.config.env import env
from stanchion_server.kernel import addresses, broker

DEBUG = env.bool("STANCHION_DEBUG", default=False)
SECRET_KEY = env.str("STANCHION_SECRET_KEY", default="")
if not SECRET_KEY:
    if not env.bool("STANCHION_ALLOW_EPHEMERAL_SECRET", default=False):
        raise ImproperlyConfigured(
            "STANCHION_SECRET_KEY is not set. Start with script/server, which makes one, or set 50 random characters."
        )
    SECRET_KEY = os.urandom(32).hex()
if len(SECRET_KEY) < 32 or any(word in SECRET_KEY.lower() for word in ("change", "placeholder", "example")):
    raise ImproperlyConfigured(
        "STANCHION_SECRET_KEY is a placeholder or shorter than 32 characters. Set 50 random characters."
    )
SECRET_KEY_FALLBACKS: list[str] = [key for key in env.list("STANCHION_SECRET_KEY_FALLBACKS", default=[]) if key]

ALLOWED_HOSTS: list[str] = env.list("STANCHION_ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
PUBLIC_URL: str = env.str("STANCHION_PUBLIC_URL", default="http://127.0.0.1:8000").rstrip("/")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "stanchion_server.tenants",
    "stanchion_server.ingest",
    "stanchion_server.traces",
    "stanchion_server.gpu",
    "stanchion_server.costs",
    "stanchion_server.feedback",
    "stanchion_server.policies",
    "stanchion_server.quality",
    "stanchion_server.drift",
    "stanchion_server.alerts",
    "stanchion_server.commands",
    "stanchion_server.web.pages",
]

MIDDLEWARE = [
    "stanchion_server.web.otlp.DoorMiddleware",
    "stanchion_server.web.api.feedback.DoorMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "stanchion_server.web.pages.security.ContentSecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
# OTLP exporters count a redirect as success and lose the data; no path of ours may redirect for a slash.
APPEND_SLASH = False

ROOT_URLCONF = "stanchion_server.config.urls"
WSGI_APPLICATION = "stanchion_server.config.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES: dict[str, Any] = {"default": env.db("DATABASE_URL", default="postgresql:///stanchion")}
DATABASES["default"].setdefault("CONN_MAX_AGE", 600)
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "tenants.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
# Collected files when there are any (the container image); otherwise each app's own folder is served.
STATIC_ROOT: str | None = env.str("STANCHION_STATIC_ROOT", default="") or None
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Stanchion",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
}

# For forms and the API: anybody may post to the login page, and Django reads a form whole. The longest is a policy's
# draft: 512 Ki characters of up to four bytes.
DATA_UPLOAD_MAX_MEMORY_SIZE = (2 << 20) + (64 << 10)
# The door. Its bodies are streams that the limit above does not see; ingest bounds them before and after inflation.
INGEST_MAX_BODY_BYTES: int = env.int("STANCHION_INGEST_MAX_BODY_MIB", default=16) << 20
INGEST_MAX_INFLATED_BYTES: int = env.int("STANCHION_INGEST_MAX_INFLATED_MIB", default=64) << 20
INGEST_MAX_IN_FLIGHT_BYTES: int = env.int("STANCHION_INGEST_MAX_IN_FLIGHT_MIB", default=512) << 20
INGEST_MAX_PARSES: int = env.int("STANCHION_INGEST_MAX_PARSES", default=2)

# What the server may call when somebody else typed the address (alert channels): the public internet, and these.
OUTBOUND_ALLOW: list[str] = env.list("STANCHION_OUTBOUND_ALLOW", default=[])
OUTBOUND_PORTS: list[int] = env.list("STANCHION_OUTBOUND_PORTS", cast=int, default=list(addresses.PORTS))
OUTBOUND_TIMEOUT_S = 10.0
try:
    addresses.rules(OUTBOUND_ALLOW, OUTBOUND_PORTS)
except ValueError as error:
    raise ImproperlyConfigured(f"STANCHION_OUTBOUND_ALLOW: {error}.") from error

# E-mail: alert channels of that kind, and word to owners that a channel is broken.
_MAIL: dict[str, Any] = env.email_url("STANCHION_EMAIL_URL", default="consolemail://")
EMAIL_BACKEND: str = _MAIL["EMAIL_BACKEND"]
EMAIL_HOST: str = _MAIL.get("EMAIL_HOST") or "localhost"
EMAIL_PORT: int = _MAIL.get("EMAIL_PORT") or 25
EMAIL_HOST_USER: str = _MAIL.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD: str = _MAIL.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS: bool = _MAIL.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL: bool = _MAIL.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL: str = env.str("STANCHION_EMAIL_FROM", default="stanchion@localhost")
# An outside address that is called after each round of rules: silence there means that nobody watches here.
# Other addresses for vendors' own (slack_api, pagerduty_us, pagerduty_eu): for tests.
ALERT_ENDPOINTS: dict[str, str] = {}
ALERT_HEARTBEAT_URL: str = env.str("STANCHION_ALERT_HEARTBEAT_URL", default="")

LOGGING_CONFIG = "logging.config.dictConfig"
LOGGING = logging.configuration(
    env.str("STANCHION_LOG_FORMAT", default="text"), env.str("STANCHION_LOG_LEVEL", default="INFO")
)

# Celery. Delivery is at least once and tasks are idempotent: a message of a killed worker runs again.
CELERY_BROKER_URL: str = env.str("STANCHION_BROKER_URL", default="pgmq://")
CELERY_BROKER_TRANSPORT_OPTIONS = broker.transport_options(CELERY_BROKER_URL, DATABASES["default"])
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TIMEZONE = "UTC"
CELERY_INCLUDE = [
    "stanchion_server.routes.telemetry",
    "stanchion_server.routes.feedback",
    "stanchion_server.routes.backtest",
    "stanchion_server.routes.scoring",
    "stanchion_server.routes.rescoring",
    "stanchion_server.routes.drift",
    "stanchion_server.routes.gpu_cost",
    "stanchion_server.routes.spending",
    "stanchion_server.routes.headroom",
    "stanchion_server.routes.savings",
    "stanchion_server.routes.watch_delivery",
    "stanchion_server.routes.watch",
]
# The local broker is polled queue by queue, and its one worker serves everything: one queue is the quickest.
CELERY_TASK_ROUTES: dict[str, dict[str, str]] = (
    {}
    if broker.scheme(CELERY_BROKER_URL) == broker.LOCAL
    else {
        "stanchion_server.routes.telemetry.keep_partitions": {"queue": "maintenance"},
        "stanchion_server.routes.telemetry.expire": {"queue": "maintenance"},
        "stanchion_server.routes.backtest.run_backtests": {"queue": "maintenance"},
        "stanchion_server.routes.feedback.expire_ratings": {"queue": "maintenance"},
        "stanchion_server.routes.scoring.score_fast": {"queue": "score_fast"},
        "stanchion_server.routes.scoring.score_slow": {"queue": "score_slow"},
        "stanchion_server.routes.scoring.expire_scores": {"queue": "maintenance"},
        "stanchion_server.routes.rescoring.open_rescorings": {"queue": "maintenance"},
        "stanchion_server.routes.gpu_cost.expire_windows": {"queue": "maintenance"},
        "stanchion_server.routes.spending.remember": {"queue": "maintenance"},
        "stanchion_server.routes.spending.expire_spending": {"queue": "maintenance"},
        "stanchion_server.routes.headroom.count_peaks": {"queue": "maintenance"},
        "stanchion_server.routes.headroom.expire_peaks": {"queue": "maintenance"},
        "stanchion_server.routes.savings.plan_savings": {"queue": "maintenance"},
        "stanchion_server.routes.savings.look_for_savings": {"queue": "score_slow"},
        "stanchion_server.routes.watch_delivery.deliver": {"queue": "deliver"},
        "stanchion_server.routes.watch_delivery.expire_deliveries": {"queue": "maintenance"},
        "stanchion_server.routes.watch.expire_watch": {"queue": "maintenance"},
        "stanchion_server.routes.drift.plan_drift": {"queue": "maintenance"},
        "stanchion_server.routes.drift.expire_drift": {"queue": "maintenance"},
        "stanchion_server.routes.drift.run_drift": {"queue": "score_slow"},
        "stanchion_server.routes.drift.make_drift_report": {"queue": "score_slow"},
    }
)
CELERY_BEAT_SCHEDULE = schedule.BEAT
