"""djup's Django app: what a project serves, waits and migrates with, in development and production.

adopted     what the environment says, over the settings of a project that djup did not write
env, databases, caches, logs, mail, users   readers of environment variables, for a settings module
csp        the content security policy, on Django 6 and before
errors, masking        mistakes answered with a sentence; no password in what is shown
accounts    pages: log in, log out, change and reset a password
error_reports          errors to Sentry, where SENTRY_DSN is set
toolbar, debugger      django-debug-toolbar and debugpy, in development alone
probes, unavailable    /healthz and /readyz, and the page of a database that is out of reach
media, bucket, full_disk    uploads: in a folder, in a bucket, and on a full disk
requests, request_id   a line and an id for each request
serve, production      the two servers (management commands), supervise.py around the first
old_users   a database from before the project had a user model of its own
wait, migrating, patience   what happens before a page is served
reloading                   how other commands restart when the code changes
schedule, cache             apps of their own: what runs at fixed times, a cache's table
image                  what the web image's build runs, and its entrypoint and health check
"""

from collections.abc import MutableMapping
from typing import Any

__version__ = "0.1.0"


def configure(settings: MutableMapping[str, Any]) -> None:
    """Replace what differs between machines, in the last line of a settings module:
    `djup_web.configure(globals())`.

    Where djup starts the project, its secret key, DEBUG, hosts and default database become those of
    the environment, and djup's app and middleware are added. Elsewhere nothing is done."""
    from djup_web import adopted  # with Django, which supervise.py does not need

    adopted.configure(settings)
