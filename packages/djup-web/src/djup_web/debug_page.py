"""Django's report of an exception (the debug page, and the mail to ADMINS) without passwords."""

from html import escape

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter

from .masking import MASK, masked

SHORTEST = 8  # a word that is shorter is on the page for other reasons, too


class MaskedReporter(ExceptionReporter):
    """All that it shows is masked in the end: settings, variables of frames, the error's text."""

    def get_traceback_html(self) -> SafeString:
        return without_passwords(super().get_traceback_html())

    def get_traceback_text(self) -> SafeString:
        return without_passwords(super().get_traceback_text())


def without_passwords(text: str) -> SafeString:
    """Masked; also the databases' own passwords, which frames hold while they connect."""
    for database in settings.DATABASES.values():
        password = str(database.get("PASSWORD") or "")
        for word in (password, escape(password)):
            if len(password) >= SHORTEST:
                text = text.replace(word, MASK)
    return mark_safe(masked(text))
