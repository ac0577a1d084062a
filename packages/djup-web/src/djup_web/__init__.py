"""djup's Django app: what a project serves, waits and migrates with, in development and production.

env, databases, logs   readers of environment variables, for a settings module
errors, masking        mistakes answered with a sentence; no password in what is shown
probes, unavailable    /healthz and /readyz, and the page of a database that is out of reach
requests, request_id   a line and an id for each request
serve, production      the two servers (management commands), supervise.py around the first
wait, migrating, patience   what happens before a page is served
"""

__version__ = "0.1.0"
