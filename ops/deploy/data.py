"""The data of a stack: backups to this machine, and the password of the database."""

from ops import console
from ops.client import Client
from ops.data import backup
from ops.data.backups import Backup
from ops.deploy import toolbox
from ops.deploy.releases import Release
from ops.deploy.swarm import Swarm
from ops.env import Settings

SET_PASSWORD = "\\getenv password NEW_PASSWORD\nALTER ROLE CURRENT_USER PASSWORD :'password';"
SECRET = "SQL_PASSWORD_SECRET"


def save(settings: Settings, release: Release, nodes: Swarm, reason: str) -> Backup:
    """Dump the stack's database into backups/ of this checkout; the caller holds the lock."""
    named = settings.lending({"COMPOSE_PROJECT_NAME": release.stack})
    with toolbox.client(release, nodes) as client:
        return backup.make(named, client, reason)


def hand_password_over(old: Release, new: Release, nodes: Swarm) -> None:
    """Give the stack's own database the password of another release, where that has another."""
    both_own = old.has_own_database and new.has_own_database
    if not both_own or old.values[SECRET] == new.values[SECRET]:
        return
    with toolbox.client(new, nodes) as theirs:
        if not _lets_in(theirs):
            with toolbox.client(old, nodes) as ours:
                ours.ask(SET_PASSWORD, NEW_PASSWORD=theirs.variables["PGPASSWORD"])
            console.say("the database has the other password now")


def _lets_in(client: Client) -> bool:
    return not client.script("select 1", client.database).code
