"""Each command that README.md, the how-tos and the home page show is run by a test, which looks at
its effect.

This holds the list complete; the tests that it names do the work, on both runtimes where a command
has both. A command that no test can run has the reason in their place.
"""

import html
import re

import pytest

from djup import ROOT

CONTRACT = "tests/runtimes/test_contract.py"
BACKUPS, UPGRADE = "tests/runtimes/test_backups.py", "tests/faults/test_upgrade.py"
DRIVERS, INSTALLS = "tests/runtimes/test_drivers.py", "packages/djup/tests/cli/test_installs.py"
AFTER = f"{CONTRACT}::test_an_app_of_the_users"
UNDO = f"{BACKUPS}::test_a_restore_is_undone_and_that_as_well"
THERE_AND_BACK = f"{UPGRADE}::test_there_and_back_and_there_again"
EXAMPLE = f"{CONTRACT}::test_the_example_app_goes_as_the_home_page_says"
ROWS = f"{CONTRACT}::test_rows_are_carried_over_as_the_manual_says"
SQLITE = "packages/djup/tests/cli/test_without_the_toolkit.py::test_the_project_runs_on_sqlite"
TRACED = "packages/djup-web/tests/test_logs.py::test_an_error_is_one_line_with_its_traceback"
NEW = "tests/projects/conftest.py"
LINTED = "tests/projects/test_new_project.py::test_it_serves_tests_and_lints_without_this_tree"
HOOKS = "packages/djup/tests/cli/test_hooks.py"
PASSWORD = "tests/faults/test_password.py"
PAGES = (
    "README.md",
    *(
        f"docs/how-to/{name}.md"
        for name in (
            "develop",
            "packages",
            "machine",
            "database",
            "backups",
            "migrations",
            "schedule",
            "test",
            "test-djup",
        )
    ),
    *(f"docs/how-to/{name}.md" for name in ("adopt", "upgrade")),
)
ADOPT, UPGRADES = "tests/projects/test_adopt.py", "tests/projects/test_upgrade_toolkit.py"
OUTSIDE = "cannot run in a test: it asks a host of Amazon's"

RUN_BY = {
    "./inv up": f"{CONTRACT}::stack",
    "uvx --from djup-0.1.0-py3-none-any.whl djup --dry adopt": f"{ADOPT}::test_dry_writes_nothing",
    "uvx --from djup-0.1.0-py3-none-any.whl djup adopt": (
        f"{ADOPT}::test_it_is_one_commit_that_can_be_reverted"
    ),
    "cd ../your-project": "cannot run in a test: the folder is the reader's",
    "uvx --from ../djup/dist/djup-0.1.0-py3-none-any.whl djup adopt": (
        f"{ADOPT}::test_it_is_one_commit_that_can_be_reverted"
    ),
    "inv --dry toolkit.upgrade djup-0.2.0-py3-none-any.whl": (f"{UPGRADES}::test_there_and_back"),
    "inv toolkit.upgrade djup-0.2.0-py3-none-any.whl": f"{UPGRADES}::test_there_and_back",
    "inv manage -- migration_plan": ("packages/djup-web/tests/test_additive.py::test_the_command"),
    "./inv new ../shop": f"{NEW}::shop",
    "./inv toolkit.build": (
        "tests/projects/test_new_project.py::test_the_same_sources_give_the_same_wheels"
    ),
    "cd ../shop": f"{NEW}::shop",
    "./inv test": "packages/djup/tests/cli/test_up.py::test_dry_changes_nothing",
    "./inv test --quick": "cannot run in a test: it would run this one as well",
    "./inv lint": LINTED,
    "inv test": LINTED,
    "inv lint": LINTED,
    "inv hooks": f"{HOOKS}::test_what_is_staged_is_linted_and_no_verify_passes",
    ". .venv/bin/activate": "packages/djup/tests/cli/test_launcher.py::shim",
    "source <(inv --print-completion-script bash)": (
        "packages/djup/tests/unit/test_tasks.py::test_completion_loads_nothing_heavy"
    ),
    "inv service.add schedule": f"{CONTRACT}::worker",
    "inv schedule": f"{CONTRACT}::test_the_schedule_runs_and_is_listed",
    "inv db.password": "tests/faults/test_database.py::test_another_password",
    "inv db.password --new": f"{PASSWORD}::test_both_get_a_new_one",
    "inv db.create": "tests/faults/test_database.py::test_another_user",
    "pip install --require-hashes -r requirements/base.txt": SQLITE,
    "pip install --no-deps ./packages/djup-web": SQLITE,
    "DEBUG=1 python project/manage.py migrate": SQLITE,
    "DEBUG=1 python project/manage.py runserver": SQLITE,
    "inv nuke": f"{CONTRACT}::test_nuke",
    "inv db.backup": f"{BACKUPS}::test_a_backup_is_listed_verified_and_pruned",
    "inv db.backup --verify": f"{BACKUPS}::test_a_backup_is_listed_verified_and_pruned",
    "inv db.backup --to /media/stick/shop.dump": f"{BACKUPS}::test_a_file_of_any_name",
    "inv db.backups": f"{BACKUPS}::test_a_backup_is_listed_verified_and_pruned",
    "inv db.backups --keep 5": f"{BACKUPS}::test_a_backup_is_listed_verified_and_pruned",
    "inv db.restore shop-3f9c-20260102T101500Z-notes.0004_tags": UNDO,
    "inv db.restore dump.sql.gz": "tests/faults/test_data_files.py::test_dumps_from_elsewhere",
    "inv db.snapshot --name before-merge": f"{BACKUPS}::test_snapshots",
    "inv db.restore before-merge": f"{BACKUPS}::test_snapshots",
    "inv db.snapshots": f"{BACKUPS}::test_snapshots",
    "inv db.snapshots --remove before-merge": f"{BACKUPS}::test_snapshots",
    "inv undo": UNDO,
    "inv db.upgrade --to 18": THERE_AND_BACK,
    "inv db.upgrade --finish": THERE_AND_BACK,
    "inv up --runtime docker": ROWS,
    "inv up --runtime embedded": ROWS,
    "inv manage -- dumpdata --natural-foreign -e contenttypes -e auth.permission > rows.json": ROWS,
    "inv manage -- loaddata --format json - < rows.json": ROWS,
    "inv lock": f"{INSTALLS}::test_an_archive_is_locked_with_its_hash",
    "inv up": f"{CONTRACT}::test_up_again_changes_nothing_and_is_quick",
    "mkdir -p project/notes/locale": f"{DRIVERS}::test_makemessages_works",
    "inv manage -- makemessages --locale de": f"{DRIVERS}::test_makemessages_works",
    "inv manage -- compilemessages": f"{DRIVERS}::test_makemessages_works",
    "inv manage -- createsuperuser": f"{CONTRACT}::test_a_superuser_of_a_script",
    "inv shell -- -c 'DJANGO_SUPERUSER_PASSWORD=… python manage.py createsuperuser --noinput "
    "--username ann --email ann@example.org'": (f"{CONTRACT}::test_a_superuser_of_a_script"),
    "inv db.seed --admin": f"{CONTRACT}::test_an_admin_for_development",
    "mkdir -p project/shop/fixtures": AFTER,
    "inv manage -- dumpdata shop --indent 2 > project/shop/fixtures/seed.json": AFTER,
    "inv logs --service web --lines 10000 | grep 8d3f0c8e-5a0e-4f5e-9d57-0a6c1f6a52b1": TRACED,
    "inv manage -- startapp shop": AFTER,
    "inv manage -- startapp NAME": AFTER,
    "mkdir -p project/certs": OUTSIDE,
    "curl -o project/certs/rds-global-bundle.pem "
    "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem": OUTSIDE,
    "inv migrate": "tests/faults/test_migrations.py::test_a_migration_that_is_not_applied",
    "inv psql -- -c 'table notes_note'": EXAMPLE,
    "inv psql": f"{CONTRACT}::test_psql",
    "inv shell": f"{CONTRACT}::test_shell",
    "inv down": f"{CONTRACT}::test_down_twice",
    "inv manage -- migrate notes zero": EXAMPLE,
}

BLOCK = re.compile(r"(?ms)^ *```sh\n(.*?)^ *```")  # in a list of steps it is indented


def shown() -> set[str]:
    """The commands in the pages' shell blocks, settings left out, and those of the home page."""
    texts = [(ROOT / page).read_text() for page in PAGES]
    blocks = [block for text in texts for block in BLOCK.findall(text)]
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    page = (ROOT / "project/home/templates/home/index.html").read_text()
    typed = [html.unescape(code) for code in re.findall(r"<code>(inv [^<]*)</code>", page)]
    settings = re.compile(r"#|[A-Z_]+='?[^ ]*|SQL_PASSWORD=.*")
    return {line for line in (*lines, *typed) if line and not settings.fullmatch(line)}


def test_the_list_has_each_of_them() -> None:
    assert {line for line in shown() if not line.startswith("#")} == set(RUN_BY)


@pytest.mark.parametrize("where", sorted({it for it in RUN_BY.values() if "::" in it}))
def test_the_test_is_there(where: str) -> None:
    file, _, name = where.partition("::")
    assert re.search(rf"(?m)^ *def {name}\(", (ROOT / file).read_text())
