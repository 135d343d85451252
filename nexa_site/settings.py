"""The project's settings, top to bottom; every value from `nexa_site.env` or a constant."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Any

import django_stubs_ext
from psycopg.conninfo import conninfo_to_dict

from nexa_site import postgres
from nexa_site.env import BASE_DIR, read_env

# Without it `ModelAdmin[Model]` fails at run time on Django 5.2.
django_stubs_ext.monkeypatch()

ENV = read_env()
TESTING = ENV.testing

# --- where things are ------------------------------------------------------------------------
DATA_DIR = ENV.data_dir
OFFLINE_TEACHER_PORT = ENV.teacher_port
# The supervisor writes this file before it stops its workers; long steps look for it each second.
STOP_FILE = DATA_DIR / "run" / "stopping"
SUPERVISOR_PID = ENV.supervisor_pid
# So many trainings and evaluations at once are on one host.
GPU_WORKERS = ENV.gpu_workers


def _read_secret_key(folder: Path) -> str:
    """Return the key kept in `folder`, made once and readable by its owner alone."""
    path = folder / "secret_key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"secret_key.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48))
        # Unlike a rename, a link cannot replace the key another process made in this moment.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_text()


def _databases() -> dict[str, dict[str, Any]]:
    """Return Django's database: the one of DATABASE_URL, else our own embedded server's."""
    base: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        # Measured: a new connection per task costs django-q2 two thirds of its speed.
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }
    if ENV.database_url is None:
        host = "" if TESTING else str(postgres.socket_folder(DATA_DIR))
        address = {"NAME": postgres.DATABASE, "USER": postgres.OWNER, "HOST": host}
        return {"default": base | address}
    parts = conninfo_to_dict(ENV.database_url)
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host"}
    address = {key: str(parts.pop(name, "")) for key, name in names.items()}
    address["PORT"] = str(parts.pop("port", ""))
    return {"default": base | address | {"OPTIONS": parts}}


# --- safety ----------------------------------------------------------------------------------
SECRET_KEY = ENV.secret_key or ("only-for-tests" * 4 if TESTING else _read_secret_key(DATA_DIR))
DEBUG = ENV.debug
ALLOWED_HOSTS = list(ENV.allowed_hosts)
CSRF_TRUSTED_ORIGINS = list(ENV.trusted_origins)
CSRF_COOKIE_SAMESITE = SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE = ENV.behind_https
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENV.behind_https else None
SESSION_COOKIE_AGE = 14 * 24 * 3600
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        # Beside `report-to` it would be ignored, and that works over https alone.
        "report-uri": ["/csp-report/"],
    }
}

# --- applications ----------------------------------------------------------------------------
INSTALLED_APPS = [
    "nexa_site.apps.NexaSiteConfig",
    "distill",
    "review",
    "training",
    "nexa_site.apps.NexaAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    # Before staticfiles, so that `runserver` too serves as production does.
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "csp",
    "django_htmx",
    "django_q",
    "template_partials",
    "rest_framework",
    "knox",
    "drf_spectacular",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "nexa_site.http.PolicyMiddleware",
    "distill.http.RefuseNulMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "distill.http.HtmxLoginRedirectMiddleware",
]
ROOT_URLCONF = "nexa_site.urls"
WSGI_APPLICATION = "nexa_site.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = _databases()

# --- people ----------------------------------------------------------------------------------
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
_VALIDATORS = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATORS}.UserAttributeSimilarityValidator"},
    {"NAME": f"{_VALIDATORS}.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": f"{_VALIDATORS}.CommonPasswordValidator"},
]
if TESTING:
    # A real hash costs 0.2 s of each test that logs in.
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# --- pages -----------------------------------------------------------------------------------
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.csrf",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Tests are served from the sources: nothing is collected, so no folder is missed.
STATIC_ROOT = None if TESTING else DATA_DIR / "static"
_STORAGE = (
    "django.contrib.staticfiles.storage.StaticFilesStorage"
    if TESTING
    else "nexa_site.static_files.StaticFiles"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": _STORAGE},
}
MEDIA_ROOT = DATA_DIR / "uploads"

LANGUAGE_CODE = "en-gb"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True

# --- API -------------------------------------------------------------------------------------
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "distill.api.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["distill.api.permissions.HasRole"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["distill.api.parsers.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "distill.api.schema.RoleSchema",
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
    # Counted by each web process for itself.
    "DEFAULT_THROTTLE_RATES": {"user": "600/min"},
    "EXCEPTION_HANDLER": "distill.api.errors.answer_error",
}
KNOX_TOKEN_MODEL = "nexa_site.ApiToken"  # noqa: S105  (the name of a model)
# knox's own would make the table of its own model beside ours, which nothing empties or reads.
MIGRATION_MODULES = {"knox": None}
REST_KNOX: dict[str, Any] = {
    "AUTH_HEADER_PREFIX": "Bearer",
    # Tools that look for leaked secrets know a token by it.
    "TOKEN_PREFIX": "nexa_",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Nexa Distill",
    "DESCRIPTION": "Datasets, runs, completions, decisions, exports and training runs.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["distill.api.permissions.HasAnyRole"],
    "DISABLE_DOCSTRING_DESCRIPTIONS": True,
    # As the addresses stand: from the file to the student.
    "SORT_OPERATIONS": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "CompletionStateEnum": "distill.models.CompletionState.State",
        "RunStateEnum": "distill.models.Run.State",
        "SourceFileStateEnum": "distill.models.SourceFile.State",
        "ReasonEnum": "distill.models.run.REASONS",
        "ReviewerReasonEnum": "review.api.REASONS",
        "TrainingRunStateEnum": "training.models.TrainingRun.State",
        "EvaluationStateEnum": "training.models.Evaluation.State",
    },
}

# --- task queue ------------------------------------------------------------------------------
# django-q2 delivers at least once: a task that outlives `retry` runs twice. A generation step
# feeds for at most 600 s and drains before `timeout`; `retry` stands above both.
_CLUSTER: dict[str, Any] = {
    "orm": "default",
    "timeout": 900,
    "retry": 1000,
    "max_attempts": 3,
    "ack_failures": True,
    "queue_limit": 2,
    "bulk": 1,
    "poll": 0.5,
    "catch_up": False,
    # Our own rows say what became of a step. Keeping successes costs three quarters of the speed.
    "save_limit": -1,
    "guard_cycle": 1,
    "cpu_affinity": 0,
    "label": "Task queue",
    "log_level": "WARNING",
}
Q_CLUSTER: dict[str, Any] = _CLUSTER | {
    "name": "pipeline",
    "workers": ENV.pipeline_workers,
    "ALT_CLUSTERS": {"gpu": _CLUSTER | {"workers": ENV.gpu_workers, "queue_limit": 1}},
}

# --- log -------------------------------------------------------------------------------------
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": ENV.log_level},
    "loggers": {
        "django": {"handlers": [], "level": ENV.log_level, "propagate": True},
        "django.server": {"handlers": [], "level": ENV.log_level, "propagate": True},
        # A line for each request that the official client sends would stand in commands' output.
        "httpx2": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        # Its own handler would write each line a second time.
        # It would greet each task by an invented name.
        "django-q": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    },
}
