"""Which user model the project has: its own, or Django's in a database that is older than that.

The model cannot be exchanged once the tables are there. A database whose tables were created with
`auth.User` keeps it where AUTH_USER_MODEL says so in the environment; the project's own app is left
out then, and nothing of the database changes.
"""

from djup_web.env import Environ

OLD = "auth.User"
OWN = "users.User"
KEY = "AUTH_USER_MODEL"
chosen = ""  # by `model`, in this process: what an environment could change


def model(environ: Environ, own: str = OWN) -> str:
    """The setting AUTH_USER_MODEL: the project's `own`, unless the environment has another."""
    global chosen
    chosen = environ.get(KEY, "").strip() or own
    return chosen


def apps(model: str) -> list[str]:
    """The app of the user model, for INSTALLED_APPS; none where that is Django's."""
    app = model.partition(".")[0]
    return [] if app == "auth" else [app]
