"""What may be wrong with an `.env` that can be read: who sees it, its keys, its secrets."""

import os
import stat
from functools import partial

from djup import ROOT
from djup.checkout import env_file
from djup.code import requirements
from djup.deploy.production import SHORTEST_KEY
from djup.doctor.finding import Finding, Fix
from djup.host import git, package_index
from djup.postgres import remote
from djup.problems import Problem, problem
from djup.settings import dotenv, stages, typos
from djup.settings.settings import Settings
from djup.stack.stack import Stack

FILE = ".env"
SHORTEST_PASSWORD = 12
FEWEST_CHARACTERS = 5


def check(stack: Stack) -> list[Finding]:
    """What can be told of `.env` without asking Docker or the database."""
    if not env_file.ENV.exists():  # under --dry, in a fresh clone
        return [Finding(FILE, "does not exist yet")]
    return [
        _mode(),
        *_keys(stack.settings),
        *_secrets(stack.settings),
        *_elsewhere(stack.settings),
        *_packages(stack.settings),
        *_reports(stack.settings),
        *_git(),
        *_owner(stack),
    ]


def _mode() -> Finding:
    # Where .env is a link, it is the file it leads to that counts, for stat and chmod alike.
    status = env_file.ENV.stat()
    mode = stat.S_IMODE(status.st_mode)
    if not mode & (stat.S_IRGRP | stat.S_IROTH):
        return Finding(FILE, f"readable by its owner only ({mode:o})")
    ours = os.geteuid() in (0, status.st_uid)
    fix = Fix("chmod 600 .env", partial(env_file.ENV.chmod, 0o600)) if ours else None
    return Finding(
        FILE, f"readable by other users ({mode:o})", problem("ENV14", mode=f"{mode:o}"), fix
    )


def _keys(settings: Settings) -> list[Finding]:
    text = env_file.ENV.read_text(encoding="utf-8-sig")
    present = dotenv.parse(text)
    known = dotenv.parse(env_file.example())
    slips = typos.find(present, known, stages.prefixes(settings.values))
    # One that stands there mistyped is not added: its default would settle what is to be asked.
    missing = [key for key in known if key not in (*present, *slips.values())]
    own = len(present.keys() - known.keys() - slips.keys())
    return [
        _complete(f"{len(present)} keys, {own or 'none'} of your own", missing),
        *(_mistyped(key, meant) for key, meant in slips.items()),
        *(_repeated(key, lines) for key, lines in dotenv.repeated(text).items()),
    ]


def _repeated(key: str, lines: list[int]) -> Finding:
    told = " and ".join(map(str, lines))
    return Finding(FILE, key, problem("ENV21", key=key, lines=told))


def _mistyped(key: str, meant: str) -> Finding:
    return Finding(FILE, key, problem("ENV11", key=key, meant=meant))


def _complete(fact: str, missing: list[str]) -> Finding:
    if not missing:
        return Finding(FILE, fact)
    fix = Fix(f"adds {', '.join(missing)}", partial(env_file.add_from_example, missing))
    return Finding(
        FILE, f"{fact}, {len(missing)} missing", problem("ENV10", keys=", ".join(missing)), fix
    )


def _secrets(settings: Settings) -> list[Finding]:
    weak = {"SECRET_KEY": _weak_key(settings), "SQL_PASSWORD": _weak_password(settings)}
    return [_secret(settings, key, why) for key, why in weak.items()]


def _secret(settings: Settings, key: str, weak: str) -> Finding:
    if not weak:
        return Finding(key, f"{len(settings.values[key])} characters")
    then = "inv up"
    if key == "SQL_PASSWORD":
        ours = settings.has_own_database
        then = "inv db.password" if ours else f"{then}  (once it is that user's password there)"
    return Finding(key, weak, problem("ENV12", key=key, why=weak, then=then))


def _elsewhere(settings: Settings) -> list[Finding]:
    if settings.has_own_database:
        return []
    mode = settings.values["SQL_SSLMODE"] or "prefer, libpq's own choice"
    cause = remote.missing_certificates(settings)
    return [Finding("database", f"at {settings.address}, sslmode {mode}", cause)]


def _packages(settings: Settings) -> list[Finding]:
    if not any(settings.values[key] for key in package_index.KEYS):
        return []
    try:
        package_index.authority()
    except Problem as error:
        return [Finding("PIP_CERT", "no certificate", error)]
    return [Finding("packages", f"from {package_index.shown()}")]


def _weak_key(settings: Settings) -> str:
    """Why Django's own check (security.W009) refuses the key, or nothing."""
    key = settings.values["SECRET_KEY"]
    if key.startswith("django-insecure-"):
        return "begins with django-insecure-, as startproject creates it for development"
    if len(key) < SHORTEST_KEY:
        return (
            f"is {len(key)} characters long, but Django requires {SHORTEST_KEY}: it can be guessed"
        )
    return _monotonous(key)


def _weak_password(settings: Settings) -> str:
    password = settings.values["SQL_PASSWORD"]
    for key in ("SQL_USER", "SQL_DATABASE"):
        if password.lower() == settings.values[key].lower():
            return f"is the same as {key}: it can be guessed"
    if len(password) < SHORTEST_PASSWORD:
        return f"is {len(password)} characters long: it can be guessed"
    return _monotonous(password)


def _monotonous(secret: str) -> str:
    count = len(set(secret))
    if count >= FEWEST_CHARACTERS:
        return ""
    return f"is made of {count} character{'s' * (count > 1)} only: it can be guessed"


def _reports(settings: Settings) -> list[Finding]:
    """What has to be there for errors to be reported, if a key asks for it."""
    cause = requirements.unreported(settings.values["SENTRY_DSN"], "base", "dev")
    return [Finding(FILE, "SENTRY_DSN", cause)] if cause else []


def _git() -> list[Finding]:
    tracked = git.ask("ls-files", "--error-unmatch", "--", FILE)
    if cause := git.refusal(tracked):
        return [Finding(FILE, "unknown whether it is committed", cause)]
    if tracked.code == 0:
        return [Finding(FILE, "in git", problem("ENV13"))]
    if tracked.code != 1:  # no git, or no repository
        return []
    ignored = git.ask("check-ignore", "--quiet", "--", FILE).code == 0
    return [Finding(FILE, "ignored by git" if ignored else "not in git, but not ignored either")]


def _owner(stack: Stack) -> list[Finding]:
    uid, owner = stack.web_uid(), ROOT.stat().st_uid
    if uid is None:
        return []
    if uid != owner:
        return [Finding("APP_UID", f"{uid}", problem("ENV15", uid=uid, owner=owner))]
    return [Finding("APP_UID", f"{uid}, who owns this folder")]
