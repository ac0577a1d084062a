"""The stage that a task is about (`--env`): production, or one that STAGES of `.env` names."""

from dataclasses import replace

from djup.checkout import web_env
from djup.deploy import production
from djup.deploy.swarm.release import split_list
from djup.problems import problem
from djup.settings import stages
from djup.settings.settings import Settings
from djup.terminal.task import this_task

# Of development, or of the machine that builds, whatever stage that is for.
NOT_OF_STAGE = {stages.KEY, "PIP_INDEX_URL", "PIP_CERT", "DEBUG_PORT"}
PLACES = ("BACKUP_TO", "MEDIA")  # one of them is elsewhere where its value is an address


def chosen(settings: Settings, name: str, *, local: bool = False) -> Settings:
    """The settings of production, or of a stage that has nothing in common with another one; what
    this task says names the keys of that stage from then on."""
    if name == stages.PRODUCTION:
        return settings
    _refuse_unknown(settings, name, local=local)
    this_task.prefix, this_task.keys = stages.prefix(name), _keys()
    found = replace(settings, stage=name)
    _refuse_shared(found)
    return found


def _refuse_unknown(settings: Settings, name: str, *, local: bool) -> None:
    known = stages.names(settings.values)
    if local:
        raise problem("TASK15.local", stage=name)
    if name.lower() in ("", *stages.TAKEN):
        raise problem("TASK15.production", name=repr(name))
    if name.lower() in known and name not in known:
        raise problem("TASK15.case", name=name, stage=name.lower())
    if name in known:
        return
    if not stages.NAME.fullmatch(name.lower()):
        raise problem("TASK15.wrong", name=repr(name))
    listed, new = ",".join((*known, name.lower())), name.lower()
    raise problem("TASK15", name=new, listed=listed, key=f"{stages.prefix(new)}DOMAIN")


def _keys() -> frozenset[str]:
    """The known keys that a stage may have by itself."""
    read = {*production.PLAIN_KEYS, *production.OF_ONE_STAGE, *production.HANDED_OVER}
    read |= {*production.SHARED}
    known = production.known_keys()
    return frozenset({k for k in known if k in read or web_env.is_of_production(k)} - NOT_OF_STAGE)


def _refuse_shared(settings: Settings) -> None:
    """Raise where this stage would write into what belongs to production, or to another stage."""
    ours = _held(settings)
    for other in ("", *stages.names(settings.values)):
        theirs = _held(replace(settings, stage=other))
        if other != settings.stage and (both := sorted(ours & theirs)):
            key, what = both[0]
            raise problem("DEP71", key=key, what=what, owner=other or stages.PRODUCTION)


def _held(settings: Settings) -> set[tuple[str, str]]:
    """What nobody else may have, in words, each with the key that says so."""
    values = production.values_of(settings)
    held = {("STACK", production.stack_name(settings, local=False))}
    held |= {("DOMAIN", name.lower()) for name in split_list(values["DOMAIN"])}
    held |= {(key, values[key].rstrip("/")) for key in PLACES if "://" in values[key]}
    if host := values["SQL_HOST"]:
        database = f"{values['SQL_DATABASE']} at {host} port {values['SQL_PORT']}"
        held.add(("SQL_DATABASE", database))
    return held
