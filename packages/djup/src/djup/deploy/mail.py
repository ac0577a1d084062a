"""Whether what is deployed can send mail: an error page, or a reset of a password, needs it."""

import json
from collections.abc import Iterator

from djup import IS_ADOPTED
from djup.deploy.production import Production
from djup.problems import documents
from djup.settings.layout import layout

# In a settings module: it sets mail up by itself, as for a provider's API.
OWN = ("EMAIL_BACKEND", "EMAIL_HOST", "MAILERS")


def lacks(wanted: Production, prefix: str) -> Iterator[str]:
    """What there is to warn of, one sentence each; of an adopted project nothing. `prefix` is what
    the keys of production begin with."""
    if IS_ADOPTED or _is_set_up_by_settings():
        return
    given = json.loads(wanted.secrets["settings"])
    more = documents.located("docs/how-to/mail.md")
    if not given.get("EMAIL_URL"):
        yield f"without {prefix}EMAIL_URL no mail is sent, not even to reset a password ({more})"
    elif not given.get("DEFAULT_FROM_EMAIL"):
        yield f"without DEFAULT_FROM_EMAIL mail is sent as webmaster@localhost ({more})"


def _is_set_up_by_settings() -> bool:
    """Whether the settings module of production names a setting of mail."""
    here = layout()
    file = here.folder / (here.production_module.replace(".", "/") + ".py")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return any(word in text for word in OWN)
