"""What is called additive, and what blocks: each against code that knows the models of before."""

import io
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import skipUnless

import django
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.test import TestCase
from djup_web.additive import IN_USE, UNIQUE, UNKNOWN, blocking
from djup_web.migrations_state import read_migrations

from .made_app import TWO_LAST, installed_app, migration

HEAD = """
from django.conf import settings
from django.contrib.postgres import fields, indexes, operations
from django.db import migrations, models
from django.db.models.functions import Now

M = migrations
class Mine(models.TextField): pass
class Widened(migrations.AlterField): pass
"""
FIRST = """[
    M.CreateModel("Tag", [("id", models.BigAutoField(primary_key=True))]),
    M.CreateModel("Note", [
        ("id", models.BigAutoField(primary_key=True)),
        ("text", models.CharField(max_length=20)),
        ("slug", models.CharField(max_length=20, default="s")),
        ("number", models.IntegerField(default=-1)),
        ("filled", models.IntegerField(db_default=5)),
        ("amount", models.DecimalField(max_digits=6, decimal_places=2, default=0)),
        ("once", models.IntegerField(unique=True)),
        ("a", models.IntegerField(default=1)),
        ("b", models.IntegerField()),
        ("tag", models.ForeignKey("made_up.Tag", models.CASCADE, null=True)),
        ("tags", models.ManyToManyField("made_up.Tag", related_name="+")),
    ], options={
        "indexes": [models.Index(fields=["number"], name="made_up_number")],
        "constraints": [
            models.UniqueConstraint(fields=["slug", "once"], name="made_up_one"),
            models.CheckConstraint(condition=models.Q(number__lt=99), name="made_up_small"),
        ],
        "unique_together": {("a", "b")},
    }),
    M.CreateModel("Proxy", [], options={"proxy": True}, bases=("made_up.note",)),
    M.CreateModel("Foreign", [("id", models.BigAutoField(primary_key=True))],
        options={"managed": False}),
]"""
CHECK = 'models.CheckConstraint(condition=models.Q(number__gte=0), name="made_up_positive")'
ALL_SAME = 'models.UniqueConstraint(fields=["slug"], name="made_up_slug")'
BROKEN_BY = "the old code may write what it forbids"
LEFT_OUT = "an INSERT of the old code leaves it out, and it has neither NULL nor a db_default"
ROOM = "its type changes, or has less room"
CHECKS = "the database checks or fills it in another way"

# These run beside the old code: it inserts, upserts, reads, changes and deletes as before.
ADDITIVE = {
    "a model": 'M.CreateModel("New", [("id", models.BigAutoField(primary_key=True))])',
    "all done to a new model": """
        M.CreateModel("New", [("id", models.BigAutoField(primary_key=True))]),
        M.RenameModel("New", "Newer"),
        M.AddField("Newer", "x", models.IntegerField(default=0)),
        M.AlterField("Newer", "x", models.TextField(default="")),
        M.AddConstraint("Newer", models.UniqueConstraint(fields=["x"], name="new_x")),
        M.AlterUniqueTogether("Newer", {("id", "x")}),
        M.RemoveField("Newer", "id"),
        M.DeleteModel("Newer"),
    """,
    "a field with NULL": 'M.AddField("Note", "x", models.IntegerField(null=True))',
    "with NULL and a default": 'M.AddField("Note", "x", models.IntegerField(null=True, default=1))',
    "a unique one with NULL": 'M.AddField("Note", "x", models.TextField(null=True, unique=True))',
    "a field with db_default": 'M.AddField("Note", "x", models.DateTimeField(db_default=Now()))',
    "many-to-many": 'M.AddField("Note", "x", models.ManyToManyField("made_up.Tag"))',
    "a key": 'M.AddField("Note", "x", models.ForeignKey("made_up.Tag", models.CASCADE, null=True, '
    'related_name="+"))',
    "an index": 'M.AddIndex("Note", models.Index(fields=["text"], name="made_up_text"))',
    "another name of one": 'M.RenameIndex("Note", "made_up_renamed", old_name="made_up_number")',
    "an index less": 'M.RemoveIndex("Note", "made_up_number")',
    "a check less": 'M.RemoveConstraint("Note", "made_up_small")',
    "options": 'M.AlterModelOptions("Note", {"ordering": ["text"]})',
    "managers": 'M.AlterModelManagers("Note", [])',
    "a comment": 'M.AlterModelTableComment("Note", "of what is made up")',
    "the same table": 'M.AlterModelTable("Note", "made_up_note")',
    "longer": 'M.AlterField("Note", "text", models.CharField(max_length=30))',
    "unlimited": 'M.AlterField("Note", "text", models.CharField())',
    "text": 'M.AlterField("Note", "text", models.TextField())',
    "another class": 'M.AlterField("Note", "text", models.SlugField(max_length=21))',
    "NULL": 'M.AlterField("Note", "number", models.IntegerField(null=True))',
    "words": 'M.AlterField("Note", "number", models.IntegerField(choices=[(1, "one")], '
    'help_text="x", verbose_name="y", validators=[], default=7, db_comment="z"))',
    "db_default": 'M.AlterField("Note", "number", models.IntegerField(db_default=3))',
    "db_index": 'M.AlterField("Note", "number", models.IntegerField(db_index=True))',
    "a constraint less": 'M.AlterField("Note", "tag", models.ForeignKey("made_up.Tag", '
    "models.SET_NULL, null=True, db_constraint=False))",
    "the words of many-to-many": 'M.AlterField("Note", "tags", models.ManyToManyField('
    '"made_up.Tag", related_name="notes", blank=True))',
    "another name for the same column": """
        M.AlterField("Note", "text", models.CharField(max_length=20, db_column="text")),
        M.RenameField("Note", "text", "body"),
    """,
    "a proxy": 'M.CreateModel("P", [], options={"proxy": True}, bases=("made_up.note",))',
    "no proxy": 'M.DeleteModel("Proxy")',
    "not managed": 'M.AddField("Foreign", "x", models.IntegerField(default=1)), '
    'M.DeleteModel("Foreign")',
    "nothing": "M.RunPython(M.RunPython.noop), M.RunSQL(M.RunSQL.noop), M.RunSQL([])",
    "an extension": 'operations.CreateExtension("plpgsql")',
    "state alone": 'M.SeparateDatabaseAndState(state_operations=[M.RemoveField("Note", "text")])',
    "out of the models, with the column left": 'M.AlterField("Note", "text", '
    "models.TextField(null=True)), M.SeparateDatabaseAndState(state_operations=["
    'M.RemoveField("Note", "text")])',
    "database alone": "M.SeparateDatabaseAndState([M.AddField('Note', 'x', "
    "models.IntegerField(null=True))], [])",
}
# These block, and the old code breaks where they are applied: operations, and why.
BLOCKING: dict[str, tuple[str, str]] = {
    "a field less": ('M.RemoveField("Note", "text")', IN_USE),
    "a table less": ('M.DeleteModel("Note")', IN_USE),
    "another name": ('M.RenameField("Note", "text", "body")', IN_USE),
    "many-to-many by another": ('M.RenameField("Note", "tags", "labels")', IN_USE),
    "another model": ('M.RenameModel("Note", "Memo")', IN_USE),
    "another table": ('M.AlterModelTable("Note", "memos")', IN_USE),
    "another column": (
        'M.AlterField("Note", "text", models.CharField(max_length=20, db_column="body"))',
        "the old code still uses the column text",
    ),
    "a default of Python": ('M.AddField("Note", "x", models.IntegerField(default=1))', LEFT_OUT),
    "once for all": (
        'M.AddField("Note", "x", models.IntegerField(db_default=1, unique=True))',
        "rows of the old code would all get the same db_default, and it is unique",
    ),
    "an order": (
        'M.AlterOrderWithRespectTo("Note", "tag")',
        "it adds or drops the column _order",
    ),
    "shorter": ('M.AlterField("Note", "text", models.CharField(max_length=10))', ROOM),
    "less digits": (
        'M.AlterField("Note", "amount", models.DecimalField(max_digits=3, decimal_places=2))',
        "max_digits changes",
    ),
    "no NULL": (
        'M.AlterField("Note", "tag", models.ForeignKey("made_up.Tag", models.CASCADE, default=1))',
        "the old code may write NULL",
    ),
    "a check by a class": (
        'M.AlterField("Note", "number", models.PositiveIntegerField(default=0))',
        CHECKS,
    ),
    "a value once": (
        'M.AlterField("Note", "number", models.IntegerField(unique=True))',
        "the old code may write a value twice, or rely on a single one",
    ),
    "a value no longer once": (
        'M.AlterField("Note", "once", models.IntegerField())',
        "the old code may write a value twice, or rely on a single one",
    ),
    "one to one": (
        'M.AlterField("Note", "tag", models.OneToOneField("made_up.Tag", models.CASCADE, '
        "null=True))",
        "the old code may write a value twice, or rely on a single one",
    ),
    "a check": (f'M.AddConstraint("Note", {CHECK})', BROKEN_BY),
    "a check for new rows": (f'operations.AddConstraintNotValid("Note", {CHECK})', BROKEN_BY),
    "unique": (f'M.AddConstraint("Note", {ALL_SAME})', BROKEN_BY),
    "unique together": ('M.AlterUniqueTogether("Note", {("a", "slug")})', UNIQUE),
    "not unique": ('M.RemoveConstraint("Note", "made_up_one")', UNIQUE),
    "code": (
        "M.RunPython(lambda _, db: db.execute('DROP TABLE made_up_note CASCADE'))",
        UNKNOWN,
    ),
    "SQL": ("M.RunSQL('DROP TABLE made_up_note CASCADE')", UNKNOWN),
    "in the database alone": (
        "M.SeparateDatabaseAndState([M.RemoveField('Note', 'text')], [])",
        IN_USE,
    ),
    "no db_default": (
        'M.AlterField("Note", "filled", models.IntegerField())',
        "the old code leaves it to its db_default",
    ),
}
# These block as well, though the old code that is tried here goes on.
CAREFUL = {
    "a class from elsewhere": ('M.AlterField("Note", "text", Mine())', "class changes"),
    "no key": (
        'M.AlterField("Note", "tag", models.BigIntegerField(null=True, db_column="tag_id"))',
        "to changes",
    ),
    "a subclass": ('Widened("Note", "text", models.TextField())', UNKNOWN),
    "a larger number": ('M.AlterField("Note", "a", models.BigIntegerField())', ROOM),
    "another default": ('M.AlterField("Note", "filled", models.IntegerField(db_default=6))', "db_"),
    "many-to-many elsewhere": (
        'M.AlterField("Note", "tags", models.ManyToManyField("made_up.Note", related_name="+"))',
        "to changes",
    ),
}
# Django before 5.0 has no db_default, before 5.1 another word for the condition of a check.
if django.VERSION < (5, 0):
    FIRST = FIRST.replace("db_default=", "default=")
    for table in (ADDITIVE, BLOCKING, CAREFUL):
        for name in [name for name, case in table.items() if "db_default=" in str(case)]:
            del table[name]
    del BLOCKING["no db_default"]
on_postgresql = skipUnless(connection.vendor == "postgresql", "the claims are about PostgreSQL")
NONE: Mapping[str, str] = {}


def use(models: Any) -> None:
    """What the old code does, in the time of two requests."""
    note, tag = (
        models.get_model("made_up", "Note"),
        models.get_model("made_up", "Tag").objects.create(),
    )
    start = note.objects.count()
    for number in range(start, start + 2):
        made = note.objects.create(
            text="0123456789abcdefghij", once=number, b=number, amount="1234.56", tag=tag
        )
        made.tags.add(tag)
    for unique in (["once"], ["slug", "once"]):
        note.objects.bulk_create(
            [note(text="up", once=start, b=start)],
            update_conflicts=True,
            unique_fields=unique,
            update_fields=["text"],
        )
    note.objects.filter(once=start).update(number=-7, filled=8, tag=None)
    assert [one.tags.count() for one in note.objects.order_by("pk")][-1] == 1
    note.objects.get(once=start).delete()
    note.objects.bulk_create([note(text="again", once=start, b=start)])
    connection.check_constraints()  # as a commit does; an ALTER cannot wait for it


class Plans(TestCase):
    """Migrations of an app `made_up`: the first ones applied, the last ones not."""

    @contextmanager
    def app(
        self, *lists: str, applied: int = 1, attributes: Mapping[str, str] = NONE
    ) -> Iterator[None]:
        """One migration for each list of operations; the first ones are recorded as applied."""
        files, after = {}, ""
        condition = "condition=" if django.VERSION >= (5, 1) else "check="
        for number, text in enumerate(lists, 1):
            text = text.replace("condition=", condition)
            name = f"000{number}_x"
            files[name] = HEAD + migration(after, operations=text, **attributes)
            after = name
        with (
            tempfile.TemporaryDirectory() as folder,
            installed_app(Path(folder), files),
            transaction.atomic(),
        ):
            for name in list(files)[:applied]:
                MigrationRecorder(connection).record_applied("made_up", name)
            yield
            transaction.set_rollback(True)

    def why(self, text: str, **attributes: str) -> list[str]:
        """Why these operations block, in a migration with these attributes."""
        with self.app(FIRST, f"[{text}]", attributes=attributes):
            return [one.why for one in blocking(read_migrations().waiting)]


class JudgedTests(Plans):
    def test_additive(self) -> None:
        for name, text in ADDITIVE.items():
            with self.subTest(name):
                self.assertEqual(self.why(text), [])

    @on_postgresql
    def test_blocking(self) -> None:
        for name, (text, why) in (BLOCKING | CAREFUL).items():
            with self.subTest(name):
                found = self.why(text)
                self.assertEqual(len(found), 1)
                self.assertIn(why, found[0])

    def test_the_author_knows_better(self) -> None:
        text = "M.RunPython(lambda *_: None), M.RemoveField('Note', 'text')"
        self.assertEqual(self.why(text, beside_old_code="True"), [])
        self.assertEqual(self.why(text, beside_old_code="False"), [UNKNOWN, IN_USE])

    def test_not_atomic(self) -> None:
        index = 'operations.AddIndexConcurrently("Note", models.Index(fields=["text"], name="i"))'
        more = f'{index}, operations.RemoveIndexConcurrently("Note", "made_up_number")'
        self.assertEqual(self.why(more, atomic="False"), [])

    def test_a_swapped_model(self) -> None:
        swapped = FIRST.replace('"managed": False', '"swappable": "AUTH_USER_MODEL"')
        with self.app(swapped, "[M.DeleteModel('Foreign')]"):
            self.assertEqual(blocking(read_migrations().waiting), [])

    def test_a_model_of_an_applied_migration_is_in_use(self) -> None:
        new = '[M.CreateModel("New", [("id", models.BigAutoField(primary_key=True))])]'
        lists = (FIRST, new, '[M.DeleteModel("New")]')
        with self.app(*lists, applied=1):
            self.assertEqual(blocking(read_migrations().waiting), [])
        with self.app(*lists, applied=2):
            found = blocking(read_migrations().waiting)
        self.assertEqual([(one.migration, one.why) for one in found], [("made_up.0003_x", IN_USE)])

    def test_nobody_uses_a_database_without_migrations(self) -> None:
        MigrationRecorder.Migration.objects.all().delete()
        with self.app(FIRST, "[M.RunSQL('DROP TABLE x')]", applied=0):
            self.assertEqual(blocking(read_migrations().waiting), [])

    def test_the_command(self) -> None:
        with self.app(FIRST, '[M.RemoveField("Note", "text"), M.DeleteModel("Proxy")]'):
            MigrationRecorder(connection).record_applied("gone", "0001_initial")
            printed = io.StringIO()
            call_command("migration_plan", stdout=printed)
        removal = {
            "migration": "made_up.0002_x",
            "operation": "Remove field text from Note",
            "why": IN_USE,
        }
        wanted = {
            "unapplied": ["made_up.0002_x"],
            "blocking": [removal],
            "unknown": ["gone.0001_initial"],
            "unmade": [],
            "connections": 97 if connection.vendor == "postgresql" else 0,
            "lacking": {},
        }
        self.assertEqual(json.loads(printed.getvalue()), wanted)

    def test_the_command_refuses_what_django_would(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(installed_app(folder, TWO_LAST))
        with self.assertRaisesMessage(CommandError, "Cannot migrate: two migrations of made_up"):
            call_command("migration_plan", stdout=io.StringIO())


@on_postgresql
class ProvedTests(Plans):
    """The migrations are applied, and code that knows the models of before goes on."""

    def bears(self, text: str, rows: bool) -> bool:
        """Whether the old code goes on, on tables that had `rows` before."""
        with self.app(FIRST, f"[{text}]", applied=0):
            old = MigrationExecutor(connection).migrate([("made_up", "0001_x")]).apps
            if rows:
                use(old)
            MigrationExecutor(connection).migrate([("made_up", "0002_x")])
            try:
                with transaction.atomic():
                    use(old)
            except DatabaseError:
                return False
        return True

    def test_the_old_code_bears_what_is_additive(self) -> None:
        for name, text in ADDITIVE.items():
            with self.subTest(name):
                self.assertTrue(self.bears(text, rows=True))

    def test_the_old_code_breaks_by_what_blocks(self) -> None:
        for name, (text, _) in BLOCKING.items():
            with self.subTest(name):
                self.assertFalse(self.bears(text, rows=False))
