"""Example data of the apps: what is not there yet is loaded, and every row that is stays."""

import json
from dataclasses import dataclass
from pathlib import Path

from django.apps import apps
from django.core.management import CommandError, call_command
from django.core.management.commands import loaddata
from django.core.serializers.base import DeserializationError, DeserializedObject
from django.db import DatabaseError, transaction
from django.db.models import Model

from . import own_code
from .database import unreachable
from .migrations_state import read_migrations

FIXTURE = "fixtures/seed.json"
# What Django and the driver raise for a file that is no fixture, or does not fit the database.
REFUSED = (DatabaseError, DeserializationError, TypeError, ValueError)


@dataclass(frozen=True)
class Loaded:
    """What came of an app's fixture: how many objects are new, how many were there already."""

    app: str
    new: int
    there: int

    def __str__(self) -> str:
        left = f"; {self.there} exist already, not changed" if self.there else ""
        return f"{self.app}: {self.new} object{'' if self.new == 1 else 's'} loaded{left}"


class Loader(loaddata.Command):
    """Django's loaddata, which would overwrite a row of the same key: this one leaves it."""

    def save_obj(self, obj: DeserializedObject) -> bool:
        return not is_there(obj.object, self.using) and super().save_obj(obj)


def is_there(instance: Model, using: str) -> bool:
    """Whether the database has this key, be it in a row that the default manager hides."""
    rows = type(instance)._base_manager.using(using)
    return instance.pk is not None and rows.filter(pk=instance.pk).exists()


def fixtures() -> dict[str, Path]:
    """App label -> its fixture, for the project's apps that have one, as they are installed."""
    found = {app.label: Path(app.path) / FIXTURE for app in apps.get_app_configs()}
    return {
        label: file for label, file in found.items() if file.is_file() and own_code.is_own(file)
    }


def load(found: dict[str, Path]) -> list[Loaded]:
    """Load all of them or, with a CommandError that says why, nothing."""
    state = read_migrations()
    if state.refusal or state.waiting:
        why = state.refusal or f"not applied yet: {', '.join(state.unapplied)}. Run `inv migrate`"
        raise CommandError(f"Nothing was loaded; {why}.")
    with transaction.atomic():
        return [load_one(app, file) for app, file in found.items()]


def load_one(app: str, file: Path) -> Loaded:
    loader, path = Loader(), own_code.shown(file)
    try:
        call_command(loader, str(file), verbosity=0)
    except REFUSED as error:
        if unreachable(error):
            raise
        raise CommandError(f"Nothing was loaded; {path}: {explained(error, file)}") from error
    if models := unidentified(file):
        raise CommandError(
            f"Nothing was loaded; {path}: each run would add the objects of {', '.join(models)} "
            "again. Give them a pk, or the model a natural key."
        )
    new = loader.loaded_object_count
    return Loaded(app, new, loader.fixture_object_count - new)


def unidentified(file: Path) -> list[str]:
    """The models of those objects that could not be found again, in a fixture that was loaded."""
    without = {entry["model"] for entry in json.loads(file.read_bytes()) if entry.get("pk") is None}
    return sorted(name for name in without if not hasattr(apps.get_model(name), "natural_key"))


def explained(error: Exception, file: Path) -> str:
    """Django's sentence without the path, or the cause that it leaves out, in one line."""
    text = str(error).removeprefix(f"Problem installing fixture '{file}': ")
    return " ".join((text or str(error.__cause__)).split())
