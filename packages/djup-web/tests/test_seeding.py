import io
import json
import tempfile
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import TestCase, override_settings
from djup_web.management.commands import load_seed
from djup_web.seeding import FIXTURE, Loaded, fixtures, load
from djup_web.testing import database_down

from .made_app import FIRST, installed_app

KEY = 1001
FREE = 2001  # by no sequence reached yet

NOWHERE = {
    "model": "auth.permission",
    "pk": FREE,
    "fields": {"name": "x", "codename": "x", "content_type": 999_999},
}


def group(name: str, pk: int | None = None, permissions: tuple[int, ...] = ()) -> dict[str, Any]:
    """As dumpdata prints it; without pk it is known by its name, which is its natural key."""
    entry = {"model": "auth.group", "fields": {"name": name, "permissions": permissions}}
    return entry if pk is None else {**entry, "pk": pk}


class SeedingTests(TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def load(self, *texts: str) -> list[Loaded]:
        """The fixtures of apps a, b, ..., in that order."""
        found = {}
        for app, text in zip("ab", texts, strict=False):
            found[app] = self.folder / f"{app}.json"
            found[app].write_text(text, encoding="utf-8")
        return load(found)

    def load_groups(self, *entries: dict[str, Any]) -> Loaded:
        return self.load(json.dumps(entries))[0]

    def assert_refused(self, *texts: str) -> str:
        """Nothing is loaded, not even of the app before; what is said."""
        before = set(Group.objects.values_list("name", flat=True))
        with self.assertRaisesRegex(CommandError, r"^Nothing was loaded[.;] ") as caught:
            self.load(json.dumps([group("first", KEY)]), *texts)
        self.assertEqual(set(Group.objects.values_list("name", flat=True)), before)
        return str(caught.exception)

    def test_the_next_insert_does_not_collide(self) -> None:
        self.assertEqual(self.load_groups(group("bakers", KEY)), Loaded("a", 1, 0))
        self.assertEqual(Group.objects.get(pk=KEY).name, "bakers")
        self.assertGreater(Group.objects.create(name="of the user").pk, KEY)

    def test_twice_is_the_same_as_once(self) -> None:
        entries = (group("bakers", KEY), group("café"))
        self.load_groups(*entries)
        before = list(Group.objects.order_by("pk").values())
        self.assertEqual(self.load_groups(*entries), Loaded("a", 0, 2))
        self.assertEqual(list(Group.objects.order_by("pk").values()), before)

    def test_what_was_changed_stays(self) -> None:
        [mine, theirs] = Permission.objects.all()[:2]
        entry = group("bakers", KEY, (theirs.pk,))
        self.load_groups(entry)
        changed = Group.objects.get(pk=KEY)
        changed.name = "mine"
        changed.save()
        changed.permissions.set([mine])
        self.assertEqual(self.load_groups(entry), Loaded("a", 0, 1))
        changed.refresh_from_db()
        self.assertEqual((changed.name, list(changed.permissions.all())), ("mine", [mine]))

    def test_what_was_deleted_comes_back(self) -> None:
        entries = (group("bakers", KEY), group("millers", KEY + 1))
        self.load_groups(*entries)
        Group.objects.get(pk=KEY).delete()
        self.assertEqual(self.load_groups(*entries), Loaded("a", 1, 1))

    def test_a_row_of_the_user_is_left_alone(self) -> None:
        """One under the same key, and one that an object is known by."""
        Group.objects.create(pk=KEY, name="mine")
        known = Group.objects.create(name="bakers")
        said = self.load_groups(group("theirs", KEY), group("bakers"), group("millers"))
        self.assertEqual(str(said), "a: 1 object loaded; 2 exist already, not changed")
        self.assertEqual(Group.objects.get(pk=KEY).name, "mine")
        self.assertEqual(Group.objects.get(name="bakers"), known)

    def test_each_app_is_told_in_its_order(self) -> None:
        texts = json.dumps([group("x")]), json.dumps([group("x"), group("y"), group("z")])
        self.assertEqual(self.load(*texts), [Loaded("a", 1, 0), Loaded("b", 2, 1)])

    def test_an_error_loads_nothing_and_is_one_sentence(self) -> None:
        Group.objects.create(name="taken")
        for text, told in (
            ("[{", "b.json: Expecting property name"),
            ("5", "not iterable"),
            ('[{"pk": 1}]', "'model'"),
            ('[{"model": "made_up.nothing", "pk": 1, "fields": {}}]', "made_up.nothing"),
            ('[{"model": "auth.group", "pk": 1, "fields": {"nam": "x"}}]', "'nam'"),
            (json.dumps([group("taken", FREE)]), "auth_group"),
            (json.dumps([NOWHERE]), "999999"),
        ):
            with self.subTest(told):
                said = self.assert_refused(text)
                self.assertIn(told, said)
                self.assertNotIn("\n", said)

    def test_objects_that_could_not_be_known_again_are_refused(self) -> None:
        user = get_user_model().objects.create(username="ann")
        fields = {"user": user.pk, "object_repr": "x", "action_flag": 1, "change_message": ""}
        said = self.assert_refused(json.dumps([{"model": "admin.logentry", "fields": fields}]))
        self.assertIn("would add the objects of admin.logentry again", said)

    def test_waits_for_the_migrations(self) -> None:
        MigrationRecorder(connection).record_unapplied("sessions", "0001_initial")
        said = self.assert_refused()
        self.assertIn("not applied yet: sessions.0001_initial. Run `inv migrate`.", said)

    def test_a_database_out_of_reach_is_no_error_of_the_fixtures(self) -> None:
        with database_down(), self.assertRaises(OperationalError):
            load({})


class FixturesTests(TestCase):
    def test_are_those_of_the_apps_in_the_folder(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(installed_app(folder, FIRST))
        file = folder / "made_up" / FIXTURE
        file.parent.mkdir()
        file.write_text("[]")
        self.assertNotIn("made_up", fixtures())
        with override_settings(BASE_DIR=folder):
            self.assertEqual(fixtures(), {"made_up": file})
            file.unlink()
            self.assertEqual(fixtures(), {})

    def test_follow_the_installed_apps(self) -> None:
        labels = [app.label for app in apps.get_app_configs()]
        self.assertEqual(list(fixtures()), [label for label in labels if label in fixtures()])

    @override_settings(
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "users"]
    )
    def test_none_at_all(self) -> None:
        printed = io.StringIO()
        call_command(load_seed.Command(), stdout=printed)
        self.assertIn("project/shop/fixtures/seed.json", printed.getvalue())
