#!/usr/bin/env python
"""Django's command line; mistakes in the environment are answered with a sentence."""

import os
import shlex
import signal
import sys
from types import ModuleType


def main() -> None:
    if os.getpid() == 1:  # of a container: it ignores each signal that it does not take
        signal.signal(signal.SIGTERM, lambda signum, _: sys.exit(128 + signum))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from service import masking

    masking.install()
    management = django_management()
    # Only importable once the line above has found Django.
    from django.core.exceptions import ImproperlyConfigured
    from django.db import InterfaceError, OperationalError

    try:
        management.execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # Only needed here: it loads nothing of Django, so that no setting can break it.
        from service import exits

        exits.end(exits.SETTINGS, str(error))
    except (InterfaceError, OperationalError) as error:
        sys.exit(explain(error))


def django_management() -> ModuleType:
    try:
        from django.core import management
    except ImportError as error:
        raise ImportError(
            "Couldn't import Django. Are you sure it's installed and available on your "
            "PYTHONPATH environment variable? Did you forget to activate a virtual environment?"
        ) from error
    return management


def explain(error: Exception) -> str:
    """Two sentences for a database out of reach; any other database error is raised again."""
    from service.database import address, reason, unreachable

    if not unreachable(error):
        raise error
    return (
        f"Cannot reach the database at {address()}: {reason(error)}.\n"
        f"In this repository run `inv manage -- {shlex.join(sys.argv[1:])}`, which runs next to "
        "the database; `inv status` shows whether it is up."
    )


if __name__ == "__main__":
    main()
