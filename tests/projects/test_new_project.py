"""A new project, from nothing but a wheel: it serves, tests itself, and has tasks of its own."""

import compileall
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import checkout
from stacks import RUNTIMES, Checkout, docker

from djup import ROOT
from djup.host import package_index

FIRST_PORT = int(os.environ.get("FIRST_PORT", checkout.FIRST_PORT))
WRITTEN = (".txt", ".whl", ".djup.json")  # by programs alone
OWN = '''
from djup.tasks import Context, collect, task

@task(group="The shop", help={"day": "of which day"})
def report(c: Context, day: str = "today") -> None:
    """Print the orders."""
    c.run(f"echo orders of {day}; exit 3")

@task(group="The shop")
def greet(c: Context) -> None:
    """Say hello."""
    print("hello")

@task(group="The stack")
def status(c: Context) -> None:
    """Show our own status."""
    print("all is well")

namespace = collect(report, greet, status, after={"volumes": greet}, before={"status": greet})
'''
WHERE = "import sys, djup_web; print(*sys.path, djup_web.__file__)"


def test_the_same_sources_give_the_same_wheels(wheels: dict[str, Path], tmp_path: Path) -> None:
    subprocess.run([ROOT / "inv", "toolkit.build", "--folder", tmp_path], check=True)
    for wheel in wheels.values():
        assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_the_wheels_are_small(wheels: dict[str, Path]) -> None:
    """Every project has them in its repository."""
    sizes = {name: wheel.stat().st_size for name, wheel in wheels.items()}
    assert sizes["djup"] < 900_000 and sizes["djup_web"] < 160_000, sizes


def test_a_wheel_that_pip_has_compiled(wheels: dict[str, Path], tmp_path: Path) -> None:
    """Its bytecode lies among the files of the starter, and is none of them."""
    library, shop = tmp_path / "library", tmp_path / "shop"
    with zipfile.ZipFile(wheels["djup"]) as wheel:
        wheel.extractall(library)
    assert compileall.compile_dir(library, quiet=1)
    begin = "from djup.cli.outside import main; main()"
    env = {**os.environ, "PYTHONPATH": str(library)}
    subprocess.run([sys.executable, "-P", "-c", begin, "new", str(shop)], env=env, check=True)
    assert (shop / "project" / "manage.py").exists()
    assert not [*shop.rglob("*.pyc")]


def test_it_is_small_and_committed(shop: Checkout) -> None:
    listed = git(shop, "ls-files").splitlines()
    written = [name for name in listed if not name.endswith(WRITTEN)]
    lines = sum(len((shop.root / name).read_text().splitlines()) for name in written)
    assert len(written) <= 60 and lines < 1750, (len(written), lines)
    page = (shop.root / "AGENTS.md").read_text()
    assert "`status` (json):" in " ".join(page.split()) and "{{" not in page
    assert len(page.splitlines()) < 70
    assert git(shop, "status", "--porcelain") == ""
    assert len(git(shop, "log", "--oneline").splitlines()) == 1


def test_it_serves_tests_and_lints_without_this_tree(shop: Checkout) -> None:
    shop.inv("up", "--runtime", "embedded", "--port", str(FIRST_PORT + 40))
    status, page = shop.get()
    assert status == 200 and "PostgreSQL" in page
    python = shop.root / ".venv" / "bin" / "python"
    found = subprocess.run([python, "-c", WHERE], capture_output=True, text=True, check=True)
    assert str(ROOT) not in found.stdout
    assert "Ran " in shop.inv("test").stderr
    shop.inv("lint")
    assert shop.inv("doctor", code=None).stderr.count("Traceback") == 0
    shop.inv("down")


def test_a_file_that_is_not_python(shop: Checkout) -> None:
    """What follows from it is not reported, and no linter crashes."""
    good = shop.write("project/config/urls.py", "urlpatterns = = []\n")
    said = shop.inv("lint", code=1)
    shop.write("project/config/urls.py", good)
    assert "invalid-syntax" in said.stdout + said.stderr
    assert "INTERNAL ERROR" not in said.stdout + said.stderr
    assert re.search(r"types +not run\nmigrations +not run", said.stderr)
    assert "correct that first" in said.stderr


def test_its_hook(shop: Checkout) -> None:
    shop.inv("hooks")
    shop.write("project/notes/more.py", "import os\n")
    git(shop, "add", ".")
    argv = ["git", "-C", str(shop.root), "commit", "--quiet", "--message", "more"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 1 and "F401" in done.stderr and "--no-verify" in done.stderr
    git(shop, "rm", "--quiet", "--force", "project/notes/more.py")
    shop.inv("hooks", "--remove")


def test_its_locks_are_compiled_by_the_task_and_by_their_heads(made: Checkout) -> None:
    """The second is what Renovate does: no toolkit is there then, and uv alone reads pyproject."""
    folder = made.root / "requirements"
    before = {lock.name: lock.read_text() for lock in folder.glob("*.txt")}
    made.inv("lock")
    after = {lock.name: lock.read_text() for lock in folder.glob("*.txt")}
    assert {name: without_comments(text) for name, text in after.items()} == {
        name: without_comments(text) for name, text in before.items()
    }
    made.inv("lock")
    assert {lock.name: lock.read_text() for lock in folder.glob("*.txt")} == after
    for name in ("base.txt", "prod.txt"):
        command = after[name].splitlines()[2].removeprefix("#    ").split()
        assert command[:3] == ["uv", "pip", "compile"]
        argv = [made.root / ".venv" / "bin" / "uv", *command[1:], "--quiet"]
        env = os.environ | package_index.environment()
        subprocess.run(argv, cwd=made.root, env=env, check=True)
        text = (folder / name).read_text()
        assert set(without_comments(text)) == set(without_comments(after[name]))
        assert text.splitlines()[1] == after[name].splitlines()[2]  # so the next one finds it
    git(made, "checkout", "--quiet", ".")


def without_comments(text: str) -> list[str]:
    """What a lock pins: its lines, less the extras, since uv lists what they require anyway."""
    lines = (line.replace("[serve]", "") for line in text.splitlines())
    return [line for line in lines if not line.lstrip().startswith("#")]


def test_its_own_tasks(shop: Checkout) -> None:
    before = shop.write("tasks.py", OWN)
    try:
        listed = shop.inv("--list").stdout
        assert "The shop\n\n  report" in listed and "Show our own status." in listed
        done = shop.inv("report", "--day", "monday", code=3)
        assert done.stdout == "orders of monday\n" and "Traceback" not in done.stderr
        assert "echo orders of today; exit 3" in shop.inv("--dry", "report").stdout
        assert shop.inv("status").stdout == "hello\nall is well\n"
        assert shop.inv("volumes").stdout.endswith("hello\n")
        assert "error TASK01" in shop.inv("greet", "--", "x", code=1).stderr
    finally:
        shop.write("tasks.py", before)


def test_its_image_has_the_app_and_not_the_toolkit(shop: Checkout) -> None:
    shop.set("RUNTIME", "docker")
    shop.set("WEB_PORT", str(FIRST_PORT + 41))
    shop.runtime = RUNTIMES["docker"]
    shop.inv("up")
    assert shop.get()[0] == 200
    web = f"{shop.project}-web-1"
    found = docker("exec", web, "python", "-c", WHERE).stdout
    assert "/opt/venv/lib/" in found and "/srv/djup-web" not in found
    assert docker("exec", web, "python", "-c", "import djup", check=False).returncode == 1


def git(shop: Checkout, *arguments: str) -> str:
    argv = ["git", "-C", str(shop.root), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
