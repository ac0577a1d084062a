"""Projects that exist take the toolkit from a wheel, in one commit, and stay what they were."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import checkout
import pytest
import shapes
from from_wheels import Adopt
from shapes import TEAM, TUTORIAL, git
from stacks import RUNTIMES, Checkout, eventually

from djup import __version__

FIRST_PORT = int(os.environ.get("FIRST_PORT", checkout.FIRST_PORT))
# Imports nothing of the toolkit, as a project that was never adopted.
WITHOUT_US = """
import sys
sys.modules["djup_web"] = None
sys.argv[0] = "manage.py"
exec(compile(open("manage.py").read(), "manage.py", "exec"))
"""
OF_JOBS = '"djup_web.jobs", "djup_web.schedule", '
TASKS_SETTING = 'TASKS = {"default": {"BACKEND": "djup_web.jobs.backend.JobsBackend"}}\n'
TASKS = """
from django_tasks import task
from visits.models import Visit

@task
def visit():
    Visit.objects.create()
"""
SCHEDULE = """
from djup_web.schedule import cron
from visits.tasks import visit

cron("* * * * * *")(visit)
"""


@pytest.fixture(scope="module")
def tutorial(adopt: Adopt, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    yield from adopted(adopt, tmp_path_factory.mktemp("a") / "tutorial", TUTORIAL, "adopt")


@pytest.fixture(scope="module")
def team(adopt: Adopt, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    yield from adopted(adopt, tmp_path_factory.mktemp("b") / "team", TEAM, "adopt")


def adopted(adopt: Adopt, root: Path, files: dict[str, str], *words: str) -> Iterator[Checkout]:
    shapes.write(root, files)
    adopt(root, *words)
    stack = Checkout(root, RUNTIMES["embedded"])
    yield stack
    for runtime in RUNTIMES.values():
        runtime.remove(root)
        assert runtime.leftovers(root) == {}


def test_it_is_one_commit_that_can_be_reverted(tutorial: Checkout, tmp_path: Path) -> None:
    root = tutorial.root
    first, last = git(root, "rev-list", "HEAD").split()[::-1]
    assert git(root, "log", "-1", "--format=%s").strip() == f"Adopt djup {__version__}"
    assert git(root, "status", "--porcelain").split("\n") == ['?? "a file of nobody\'s.txt"', ""]
    rows = git(root, "diff", "--name-status", first).splitlines()
    edited = {row.split("\t")[1] for row in rows if not row.startswith("A")}
    assert edited == {"mysite/settings.py", ".gitignore"}
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", root, clone], check=True)
    git(clone, "revert", "--no-edit", last)
    assert git(clone, "diff", "--stat", first) == ""


def test_started_in_the_old_way_it_is_what_it_was(tutorial: Checkout) -> None:
    tutorial.inv("test")  # installs what it needs
    python = tutorial.root / ".venv" / "bin" / "python"
    argv = [python, "-c", WITHOUT_US, "test"]
    done = subprocess.run(argv, cwd=tutorial.root, capture_output=True, text=True)
    assert done.returncode == 0 and "Ran 1 test" in done.stderr, done.stderr
    shown = [python, "-c", WITHOUT_US, "diffsettings", "--output", "unified"]
    said = subprocess.run(shown, cwd=tutorial.root, capture_output=True, text=True).stdout
    assert "sqlite3" in said and "djup" not in said


def test_a_tutorial_serves_on_postgresql_and_tests_itself(tutorial: Checkout) -> None:
    tutorial.inv("up", "--runtime", "embedded", "--port", str(FIRST_PORT + 50))
    status, page = tutorial.get()
    assert status == 200 and "1 visits, postgresql" in page
    assert "Ran 1 test" in tutorial.inv("test").stderr
    tutorial.inv("lint")
    assert tutorial.psql("select count(*) from visits_visit") == "1"
    assert "Traceback" not in tutorial.inv("doctor", code=None).stderr
    tutorial.inv("down")


def test_jobs_and_a_schedule_are_switched_on(tutorial: Checkout) -> None:
    """As docs/how-to/jobs.md and docs/how-to/schedule.md say it."""
    root, settings = tutorial.root, tutorial.root / "mysite" / "settings.py"
    before = settings.read_text()
    with (root / "requirements.txt").open("a") as file:
        file.write("django-tasks\ncronsim\n")
    settings.write_text(before.replace('"visits", ', f'"visits", {OF_JOBS}') + TASKS_SETTING)
    tutorial.write("visits/tasks.py", TASKS)
    tutorial.write("visits/schedule.py", SCHEDULE)
    tutorial.inv("lock")
    for name in ("worker", "schedule"):
        tutorial.inv("service.add", name)
    tutorial.inv("up")
    visits = "select count(*) from visits_visit"
    rows = int(tutorial.psql(visits))
    eventually(lambda: int(tutorial.psql(visits)) > rows, 30, "a job that was scheduled has run")
    assert "enqueued" in tutorial.inv("schedule").stdout
    assert "visits.tasks.visit" in tutorial.inv("logs", "--service", "worker").stdout
    tutorial.inv("down")


def test_a_team_keeps_what_it_has_set(team: Checkout) -> None:
    """Its settings fail without variables of other names, and have a user model, a second database
    and a logging of their own."""
    team.inv("up", "--runtime", "embedded", "--port", str(FIRST_PORT + 51))
    status, page = team.get()
    assert status == 200 and "1 visits, postgresql" in page
    told = team.inv("test").stdout
    assert "2 passed" in told
    code = (
        "from django.conf import settings as s; d = s.DATABASES; import json; print(json.dumps(["
        "d['default']['ATOMIC_REQUESTS'], d['archive']['NAME'], s.AUTH_USER_MODEL, s.DEBUG, "
        "s.LOGGING, s.EMAIL_SUBJECT_PREFIX, 'django_extensions' in s.INSTALLED_APPS]))"
    )
    said = team.inv("manage", "--", "shell", "--no-imports", "-c", code).stdout
    logging = {"version": 1, "disable_existing_loggers": False}
    assert json.loads(said) == [True, ":memory:", "people.User", True, logging, "[dev] ", True]
    team.inv("down")


def test_what_was_found_is_in_pyproject(team: Checkout) -> None:
    text = (team.root / "pyproject.toml").read_text()
    for line in (
        'project = "src"',
        'settings = "config.settings.dev"',
        'production-settings = "config.settings.production"',
        'requirements = ["pyproject.toml"]',
        'dev-requirements = ["pyproject.toml:dev"]',
        'DJANGO_SECRET_KEY = "SECRET_KEY"',
        'DATABASE_URL = "DATABASE_URL"',
        'DJANGO_DEBUG = "DEBUG_WORD"',
        'MAIL_KEY = "build"',
    ):
        assert f"\n{line}\n" in text
    example = (team.root / ".env.example").read_text()
    assert example.startswith("MAIL_KEY=\nDATABASE_URL=postgres://team:team@localhost/team\n")


def test_further_suites(team: Checkout) -> None:
    """Each on a database of its own; what fails last fails the task."""
    before = (team.root / "pyproject.toml").read_text()
    ask = "import os; print('suite on', os.environ['DATABASE_URL'][:9]); raise SystemExit(3)"
    suites = f'\n[tool.djup.suites]\nurls = ["python3", "-c", {json.dumps(ask)}]\n'
    team.write("pyproject.toml", before + suites)
    try:
        done = team.inv("test", code=3)
        assert "2 passed" in done.stdout and "suite on postgres:" in done.stdout
        assert "tests  passed" in done.stderr and "urls   FAILED" in done.stderr
        assert "2 passed" in team.inv("test", "--suite", "tests").stdout
        assert "error TASK05" in team.inv("test", "--suite", "others", code=1).stderr
        team.write("pyproject.toml", before.replace('project = "src"', "project = 1"))
        assert "error ENV20" in team.inv("test", code=1).stderr
    finally:
        team.write("pyproject.toml", before)


def test_linters_and_tests_have_stand_ins(team: Checkout) -> None:
    """For what settings do not start without, and only .env has."""
    read = 'import os\n\nKEY = os.environ["MAIL_KEY"]\n'
    files = [team.root / "src/config/settings" / name for name in ("dev.py", "test.py")]
    before = [file.read_text() for file in files]
    for file, text in zip(files, before, strict=True):
        file.write_text(read + text)
    try:
        assert "No changes detected" in team.inv("lint").stdout
        assert "2 passed" in team.inv("test", "--suite", "tests").stdout
    finally:
        for file, text in zip(files, before, strict=True):
            file.write_text(text)


def test_an_env_that_is_there_is_kept(team: Checkout, tmp_path: Path) -> None:
    root = tmp_path / "team"
    shutil.copytree(team.root, root, ignore=shutil.ignore_patterns(".venv", ".env", ".state"))
    (root / ".env").write_text("MAIL_KEY=ours\nDEBUG=off\nSQL_PASSWORD=ours\n")
    stack = Checkout(root, RUNTIMES["embedded"])
    stack.inv("--dry", "status", code=None)
    stack.inv("volumes")
    text = (root / ".env").read_text()
    assert (
        text.startswith("MAIL_KEY=ours\nDEBUG=off\nSQL_") and "COMPOSE_PROJECT_NAME=team-" in text
    )
    assert stack.values["DEBUG"] == "off" and len(stack.values["SECRET_KEY"]) == 64


def test_an_upgrade_leaves_what_is_around_the_blocks(team: Checkout, newer: Path) -> None:
    clone = team.root.parent / "clone"
    subprocess.run(["git", "clone", "--quiet", team.root, clone], check=True)
    ignored = (clone / ".gitignore").read_text()
    (clone / ".gitignore").write_text(f"first\n{ignored}last\n")
    git(clone, "commit", "--quiet", "--all", "--message", "ours")
    stack = Checkout(clone, RUNTIMES["embedded"])
    stack.inv("toolkit.upgrade", "--to", str(newer))
    text = (clone / ".gitignore").read_text()
    assert text == f"first\n{ignored}last\n"
    assert "# The image of the web." in (clone / "compose/web/Dockerfile").read_text()
    assert len([*(clone / "requirements/djup/wheels").iterdir()]) == 2
    assert git(clone, "status", "--porcelain") == ""
    stack.inv("--version")


REFUSED = {
    "edited": ("NEW03", "settings.py"),
    "clash": ("NEW13", "inv"),
    "proxy": ("NEW13", "compose/caddy/Caddyfile"),
    "image": ("NEW13", "compose/web"),
    "env": ("NEW13", "git rm --cached .env"),
    "ignored": ("NEW13", ".env.example would get lines"),
    "link": ("NEW13", ".gitignore would get lines"),
    "folder": ("NEW13", "compose"),
    "nothing": ("NEW08", "manage.py"),
    "two": ("NEW08", "one, two"),
    "module": ("NEW09", "mysite.settings"),
    "requirements": ("NEW10", "requirements.txt"),
    "old": ("NEW11", "Django==3.2.*"),
    "any old": ("NEW11", "Django==3.*"),
    "syntax": ("NEW09", "settings.py line 1"),
    "below": ("NEW07", "cd "),
    "no git": ("NEW07", "git init"),
    "nobody": ("NEW15", "git config --global user.name"),
    "pipenv": ("NEW16", "install pipenv"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses_and_writes_nothing(
    adopt: Adopt, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, files = tmp_path / "mysite", dict(TUTORIAL)
    if case in ("clash", "env"):
        files |= {"inv" if case == "clash" else ".env": "ours\n"}
    if case == "proxy":  # which djup would take for a proxy of its own
        files |= {"compose/caddy/Caddyfile": "localhost\n"}
    if case == "image":
        files |= {"compose/web/entrypoint": "#!/bin/sh\n"}
    for lacking, path in (("nothing", "manage.py"), ("requirements", "requirements.txt")):
        if case == lacking:
            del files[path]
    if case == "two":
        manage = files.pop("manage.py")
        files |= {"one/manage.py": manage, "two/manage.py": manage}
    if case == "module":
        del files["mysite/settings.py"]
    if case == "syntax":
        files |= {"mysite/settings.py": "DEBUG =\n"}
    if case == "pipenv":
        files |= {"Pipfile.lock": "{}\n"}
    if case.endswith("old"):
        files |= {"requirements.txt": f"{REFUSED[case][1]}\n"}
    shapes.write(root, files)
    if case == "edited":
        (root / "mysite" / "settings.py").write_text("DEBUG = True\n")
    if case == "ignored":  # by its name, in their .git/info/exclude or .gitignore
        (root / ".git" / "info" / "exclude").write_text(".env.*\n")
        (root / ".env.example").write_text("OURS=1\n")
    if case in ("link", "folder"):
        name, elsewhere = (".gitignore" if case == "link" else "compose"), tmp_path / "elsewhere"
        elsewhere.mkdir() if case == "folder" else elsewhere.write_text("*.log\n")
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(elsewhere)
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message", "a link")
    if case == "no git":
        shutil.rmtree(root / ".git")
    before = content(root)
    code, words = REFUSED[case]
    if case == "nobody":
        for key in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
            monkeypatch.delenv(key, raising=False)
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        git(root, "config", "user.useConfigOnly", "true")
    said = adopt(root / "visits" if case == "below" else root, "adopt", code=1).stderr
    assert f"error {code}: " in said and words in said and "  fix: " in said
    assert content(root) == before


def test_line_ends_stay(adopt: Adopt, tmp_path: Path) -> None:
    """As an editor on Windows saves them; the settings with the mark that some begin with."""
    root = shapes.write(tmp_path / "tutorial", TUTORIAL)
    paths = ("mysite/settings.py", ".gitignore")
    before = {path: (root / path).read_bytes().replace(b"\n", b"\r\n") for path in paths}
    before["mysite/settings.py"] = b"\xef\xbb\xbf" + before["mysite/settings.py"]
    for path, text in before.items():
        (root / path).write_bytes(text)
    git(root, "config", "core.autocrlf", "false")
    git(root, "commit", "--quiet", "--all", "--message", "from Windows")
    adopt(root, "adopt")
    for path, text in before.items():
        after = (root / path).read_bytes()
        assert after.startswith(text.rstrip()) and b"\n" not in after.replace(b"\r\n", b"")


def test_dry_writes_nothing(adopt: Adopt, tmp_path: Path) -> None:
    root = shapes.write(tmp_path / "tutorial", TUTORIAL)
    before = content(root)
    said = adopt(root, "--dry", "adopt").stderr
    assert "mysite.settings" in said and "would be written: compose/web/Dockerfile" in said
    assert "would be edited at its end: mysite/settings.py" in said
    others = adopt(root, "--dry", "adopt", "--requirements", "requirements.txt").stderr
    assert others == said
    assert content(root) == before


def test_locks_that_cannot_be_compiled_leave_all_as_it_was(adopt: Adopt, tmp_path: Path) -> None:
    wrong = {"requirements.txt": "Django==5.2.*\nno-such-package-of-anybody==1\n"}
    root = shapes.write(tmp_path / "tutorial", TUTORIAL | wrong)
    before = content(root)
    said = adopt(root, "adopt", code=1).stderr
    assert "error NEW14: " in said and "no-such-package-of-anybody" in said
    assert "uv pip compile" not in said and said.count("  fix: ") == 1
    assert content(root) == before and git(root, "worktree", "list").count("\n") == 1


def test_one_that_was_killed_leaves_nothing(adopt: Adopt, tmp_path: Path) -> None:
    """Its work tree is removed by the next one; one of the user's on another disk stays."""
    root = shapes.write(tmp_path / "tutorial", TUTORIAL)
    killed = root / ".state" / "temporary-99999999-x" / "tutorial"
    for tree in (killed, tmp_path / "theirs"):
        git(root, "worktree", "add", "--quiet", "--detach", str(tree))
    (tmp_path / "theirs").rename(tmp_path / "elsewhere")
    adopt(root, "adopt")
    assert not killed.parent.exists()
    listed = git(root, "worktree", "list", "--porcelain")
    assert "theirs" in listed and "temporary" not in listed


def test_twice_is_once(tutorial: Checkout, adopt: Adopt) -> None:
    assert "error NEW12: " in adopt(tutorial.root, "adopt", code=1).stderr


def content(root: Path) -> dict[str, bytes]:
    """The files of a project by their paths, less those of git."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in files
        if ".git" not in path.relative_to(root).parts
    }
