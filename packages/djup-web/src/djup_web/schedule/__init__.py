"""What runs at fixed times: functions in the `schedule.py` of an app.

    from djup_web.schedule import cron, every

    @every("10m")
    def fetch_rates() -> None: ...

    @cron("15 3 * * *")  # each day at 03:15 UTC
    def send_reports() -> None: ...

entries     what is to run, by name
times       when: every so often, or as cron writes it
lock        one process at a time, by the database server
scheduler   which entries are due, what came of each run
service     the process that does it all
"""

from .entries import cron, every

__all__ = ["cron", "every"]
