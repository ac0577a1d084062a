"""Django's settings; every value that differs between machines comes from the environment."""

from os import environ
from pathlib import Path

from django.conf import global_settings
from djup_web import csp, env, error_reports, errors, media, toolbar, users
from djup_web.caches import caches
from djup_web.databases import connections, database
from djup_web.logs import logging
from djup_web.mail import mail

errors.install()
env.add_file(environ)
BASE_DIR = Path(__file__).resolve().parent.parent
DEBUG = env.boolean(environ, "DEBUG")
SECRET_KEY = env.secret_key(environ, DEBUG)
SECRET_KEY_FALLBACKS = env.secret_key_fallbacks(environ, DEBUG)
ALLOWED_HOSTS = env.allowed_hosts(environ, DEBUG)
CSRF_TRUSTED_ORIGINS = env.trusted_origins(environ, DEBUG)
# The production image says so: its code never changes, and its static files are collected.
PRODUCTION = env.boolean(environ, "PRODUCTION")

# A database that is older than the app `users` keeps Django's model (djup's docs/how-to/users.md).
AUTH_USER_MODEL = users.model(environ)

INSTALLED_APPS = [
    "djup_web",
    "djup_web.accounts",
    "djup_web.cache",  # the cache's table in the database
    "djup_web.jobs",
    "djup_web.schedule",
    *users.apps(AUTH_USER_MODEL),
    "home",
    "notes",  # the example app
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "djup_web.request_id.RequestIdMiddleware",
    "djup_web.requests.RequestsMiddleware",
    "djup_web.probes.ProbesMiddleware",
    "djup_web.unavailable.UnavailableMiddleware",
    "djup_web.full_disk.FullDiskMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "djup_web.csp.middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

if DEBUG:  # before all others: they see the address that the browser has
    MIDDLEWARE.insert(0, "djup_web.forwarded.ForwardedMiddleware")

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

DATABASES = {"default": database(environ, DEBUG, BASE_DIR) | connections(environ, PRODUCTION)}
CACHES = caches(environ, PRODUCTION)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TASKS = {"default": {"BACKEND": "djup_web.jobs.backend.JobsBackend"}}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Of an SMTP server, by EMAIL_URL; in development mails go to the log without one.
globals().update(mail(environ, PRODUCTION))

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = BASE_DIR / "staticfiles"
# Uploads: a folder outside the source, or a bucket.
MEDIA_URL = "media/"
MEDIA_ROOT = media.root(environ, BASE_DIR)
STORAGES = {**global_settings.STORAGES, "default": media.storage(environ)}
if PRODUCTION:
    # Hashed names, which browsers may keep for ever, each with a compressed twin.
    STORAGES["staticfiles"] = {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}

if not PRODUCTION and (checkout := environ.get("COMPOSE_PROJECT_NAME")):
    # Cookies know hosts, not ports: two checkouts on 127.0.0.1 would log each other out.
    SESSION_COOKIE_NAME = f"sessionid_{checkout}"
    CSRF_COOKIE_NAME = f"csrftoken_{checkout}"
    LANGUAGE_COOKIE_NAME = f"django_language_{checkout}"

# Scripts and styles of this site alone, and the style that the page of an error has within.
SECURE_CSP = csp.policy(BASE_DIR / "templates" / "500.html")

LOGGING = logging(DEBUG)
DEFAULT_EXCEPTION_REPORTER = "djup_web.debug_page.MaskedReporter"
error_reports.install(environ, DEBUG)

if env.boolean(environ, "HTTPS"):
    # TLS ends at our own proxy, which overwrites this header.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    # A month, begun anew by each answer: a domain that gives HTTPS up is free again after it.
    SECURE_HSTS_SECONDS = 30 * 24 * 3600
    # Its subdomains, and the lists that browsers come with, are not this site's to decide about.
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

toolbar.add(globals(), environ)  # last: with DEBUG_TOOLBAR it completes what is above
