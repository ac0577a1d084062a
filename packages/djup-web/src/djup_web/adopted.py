"""Settings of a project that djup did not write: what the environment says goes over what they say.

Its settings module ends with a call of `configure(globals())`, which does nothing unless djup has
started the process: the variable DJUP says so.
"""

from collections.abc import MutableMapping
from os import environ
from pathlib import Path
from typing import Any

from django.conf import global_settings
from djup_web import env, errors, mail, media, toolbar
from djup_web.caches import caches
from djup_web.databases import connections, database
from djup_web.logs import logging

Settings = MutableMapping[str, Any]

APP = "djup_web"
CACHE = "djup_web.cache"  # who adds this app asks for the cache in the database
FIRST = tuple(
    f"{APP}.{name}"
    for name in (
        "request_id.RequestIdMiddleware",
        "requests.RequestsMiddleware",
        "probes.ProbesMiddleware",
        "unavailable.UnavailableMiddleware",
    )
)
FULL_DISK = f"{APP}.full_disk.FullDiskMiddleware"
FORWARDED = f"{APP}.forwarded.ForwardedMiddleware"
STORAGE = f"{APP}.storage.ForgivingStorage"
# Of the project's default database: what is not about where it is.
KEPT = ("ATOMIC_REQUESTS", "TEST", "TIME_ZONE", "AUTOCOMMIT")
# Of its OPTIONS: how a session behaves. Where and how it connects is the environment's to say.
KEPT_OPTIONS = ("options", "isolation_level", "assume_role", "client_encoding", "application_name")
# Set where DATABASE_URL was derived from the SQL_ variables, for settings that read it.
BY_KEYS = "DJUP_DATABASE_BY_KEYS"
SECRETS = ("SECRET_KEY", "SQL_PASSWORD")  # of which production has files
# On with HTTPS, off without: a redirect to HTTPS would lead nowhere, a secure cookie would be lost.
OF_HTTPS = ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE")
A_MONTH = 30 * 24 * 3600
COOKIES = {
    "SESSION_COOKIE_NAME": "sessionid",
    "CSRF_COOKIE_NAME": "csrftoken",
    "LANGUAGE_COOKIE_NAME": "django_language",
}


def configure(settings: Settings) -> None:
    """Replace what differs between machines by what the environment says, add what djup needs.

    `settings` are the names of a settings module. Its secret key, DEBUG, hosts and default database
    are replaced; storages, logging, cookies and the like only where it does not set them.
    """
    if not environ.get("DJUP"):
        return
    errors.install()
    env.add_file(environ)
    known = _ours(environ)
    # While the image is built, nothing is asked for; their own DEBUG is off then, as it will be.
    debug = env.boolean(known, "DEBUG") or environ["DJUP"] == "build"
    production = env.boolean(known, "PRODUCTION")
    _identity(settings, known, debug)
    _database(settings, known, debug, production)
    _apps(settings, debug)
    _reports(settings, debug)
    if CACHE in settings["INSTALLED_APPS"]:
        settings.setdefault("CACHES", caches(known, production))
    settings.update(mail.adopt(settings, known))
    if production:
        _static_files(settings)
    else:
        _cookies(settings)
    if known.get("MEDIA_ROOT"):
        _uploads(settings)
    settings.update(dict.fromkeys(OF_HTTPS, env.boolean(known, "HTTPS")))
    if env.boolean(known, "HTTPS"):
        _https(settings)
    toolbar.add(settings, known)


def _ours(environ: env.Environ) -> env.Environ:
    """The environment without what was put there for the project's own settings alone."""
    theirs = {key for key in SECRETS if environ.get(f"{key}_FILE")}
    if environ.get(BY_KEYS):
        theirs.add("DATABASE_URL")
    return {key: value for key, value in environ.items() if key not in theirs}


def _identity(settings: Settings, known: env.Environ, debug: bool) -> None:
    origins = [*settings.get("CSRF_TRUSTED_ORIGINS", ()), *env.trusted_origins(known, debug)]
    settings.update(
        DEBUG=debug,
        SECRET_KEY=env.secret_key(known, debug),
        SECRET_KEY_FALLBACKS=env.secret_key_fallbacks(known, debug),
        ALLOWED_HOSTS=env.allowed_hosts(known, debug),
        # An empty one comes of a variable that is empty, and split at its commas.
        CSRF_TRUSTED_ORIGINS=list(dict.fromkeys(filter(None, origins))),
    )


def _database(settings: Settings, known: env.Environ, debug: bool, production: bool) -> None:
    """Replace the default database; the others, and what else is said of this one, stay."""
    databases = settings.get("DATABASES", {})
    theirs = databases.get("default", {})
    ours = database(known, debug, _folder(settings)) | connections(known, production)
    kept = {key: theirs[key] for key in KEPT if key in theirs}
    if "postg" in ours["ENGINE"] and _is_of_postgresql(theirs.get("ENGINE", "")):
        kept["ENGINE"] = theirs["ENGINE"]
        options = theirs.get("OPTIONS", {})
        ours["OPTIONS"] |= {key: options[key] for key in KEPT_OPTIONS if key in options}
    settings["DATABASES"] = {**databases, "default": {**ours, **kept}}


def _is_of_postgresql(engine: str) -> bool:
    """Whether a backend is built on that of PostgreSQL: PostGIS, or one of a package."""
    return any(word in engine for word in ("postg", "psql"))


def _folder(settings: Settings) -> Path:
    """The folder that file names start from: BASE_DIR, else the one that was started in."""
    return Path(settings.get("BASE_DIR") or Path.cwd())


def _apps(settings: Settings, debug: bool) -> None:
    first = (*((FORWARDED,) if debug else ()), *FIRST)
    _put_first(settings, "INSTALLED_APPS", (APP,))
    _put_first(settings, "MIDDLEWARE", first)


def _put_first(settings: Settings, name: str, added: tuple[str, ...]) -> None:
    """Add to the start of a list or a tuple what it lacks; it stays the one or the other."""
    theirs = settings.get(name, ())
    found = [one for one in added if one not in theirs]
    settings[name] = type(theirs)([*found, *theirs])


def _reports(settings: Settings, debug: bool) -> None:
    if not settings.get("LOGGING"):
        settings["LOGGING"] = logging(debug)
    settings.setdefault("DEFAULT_EXCEPTION_REPORTER", f"{APP}.debug_page.MaskedReporter")


def _static_files(settings: Settings) -> None:
    """In production: a folder, and hashed names, unless the project has chosen a storage."""
    if not settings.get("STATIC_ROOT"):
        settings["STATIC_ROOT"] = _folder(settings) / "staticfiles"
    storages = settings.get("STORAGES") or {}
    if "staticfiles" not in storages and not settings.get("STATICFILES_STORAGE"):
        theirs = settings.pop("DEFAULT_FILE_STORAGE", None)  # not both may be set
        default = {"BACKEND": theirs} if theirs else global_settings.STORAGES["default"]
        ours = {"BACKEND": STORAGE}
        settings["STORAGES"] = {"default": default, **storages, "staticfiles": ours}


def _uploads(settings: Settings) -> None:
    """Have uploads go where djup keeps them: `media` of `[tool.djup]`."""
    settings["MEDIA_ROOT"] = media.root(environ, _folder(settings))
    settings["MEDIA_URL"] = settings.get("MEDIA_URL") or "media/"
    storages = settings.get("STORAGES") or dict(global_settings.STORAGES)
    if theirs := settings.pop("STATICFILES_STORAGE", None):  # not both may be set
        storages = {**storages, "staticfiles": {"BACKEND": theirs}}
    settings.pop("DEFAULT_FILE_STORAGE", None)
    settings["STORAGES"] = {**storages, "default": media.storage(environ)}
    _put_first(settings, "MIDDLEWARE", (FULL_DISK,))


def _cookies(settings: Settings) -> None:
    """Cookies know hosts, not ports: two checkouts on 127.0.0.1 would log each other out."""
    if checkout := environ.get("COMPOSE_PROJECT_NAME"):
        for name, value in COOKIES.items():
            settings.setdefault(name, f"{value}_{checkout}")


def _https(settings: Settings) -> None:
    """TLS ends at djup's proxy, which overwrites this header; what the project asks for stays."""
    settings["SECURE_PROXY_SSL_HEADER"] = ("HTTP_X_FORWARDED_PROTO", "https")
    if not settings.get("SECURE_HSTS_SECONDS"):
        settings["SECURE_HSTS_SECONDS"] = A_MONTH
        silenced = [*settings.get("SILENCED_SYSTEM_CHECKS", ()), "security.W005", "security.W021"]
        settings["SILENCED_SYSTEM_CHECKS"] = silenced
