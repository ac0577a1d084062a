"""Jobs: a backend of Django's Tasks API whose rows are in PostgreSQL, and its workers.

A job runs at least once. Where its worker dies or is cut off it is run again by another, which is
told by the number of the attempt; after as many faults as its policy allows it is dead.

api         Django's Tasks API, of Django 6 or of the package django-tasks
policy      how often a job is tried, and after what pause
models      the one table
backend     what TASKS names: enqueue, and read a result
queue       claim, renew, put back and end a job: who may write to a row
slot, pool  a process that runs one job after another; the process that has several of them
pruning     tidying of finished jobs
admin       the list of jobs

An app of its own, which a project may have or not: `djup_web.jobs` in INSTALLED_APPS.
"""

from .policy import retry

__all__ = ["retry"]
