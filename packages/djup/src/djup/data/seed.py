"""The example data of the apps, and on request the admin that `.env` names."""

from djup.host.checkout_lock import one_at_a_time
from djup.problems import problem
from djup.settings.settings import Settings
from djup.stack.stack import Stack

# What Django's createsuperuser reads -> the key of `.env`.
ADMIN = {
    "DJANGO_SUPERUSER_USERNAME": "ADMIN_USER",
    "DJANGO_SUPERUSER_PASSWORD": "ADMIN_PASSWORD",
    "DJANGO_SUPERUSER_EMAIL": "ADMIN_EMAIL",
}


def run(stack: Stack, admin: bool) -> None:
    """Load what the database has not yet; with `admin`, make that superuser if it is not there."""
    variables = _admin(stack.settings) if admin else {}
    arguments = ["load_seed", *(["--admin"] if admin else [])]
    with one_at_a_time("db.seed"):  # two at once would both find an object missing
        stack.manage(arguments, variables)


def _admin(settings: Settings) -> dict[str, str]:
    if not settings.debug:
        raise problem("TASK07")
    if missing := [key for key in ADMIN.values() if not settings.values[key]]:
        has = "has" if len(missing) == 1 else "have"
        raise problem("ENV16", keys=", ".join(missing), has=has)
    return {variable: settings.values[key] for variable, key in ADMIN.items()}
