"""docs/how-to/celery.md, word for word: a broker and Celery as services of a project's own."""

import re
import textwrap

from stacks import Docker, Make, eventually

from djup import ROOT

PAGE = ROOT / "docs" / "how-to" / "celery.md"
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
TASKS = "from config import app\n\n@app.task\ndef add(left, right):\n    return left + right\n"
ASK = "from home.tasks import add; print(add.delay(1, 2).get(timeout=20))"


def test_celery_with_valkey(make: Make, docker_runtime: Docker) -> None:
    stack = make(docker_runtime)
    blocks = [(kind, textwrap.dedent(text)) for _, kind, text in BLOCK.findall(PAGE.read_text())]
    for kind, text in blocks:
        first = text.partition("\n")[0].removeprefix("# ")
        if kind in ("python", "yaml") and "/" in first and " " not in first:
            (stack.root / first).write_text(text)
    [setting] = [text for _, text in blocks if text.startswith("CELERY_")]
    for path, added in {
        "project/config/settings.py": setting,
        "requirements/base.in": "celery[redis]\n",
    }.items():
        with (stack.root / path).open("a") as file:
            file.write(added)
    (stack.root / "project" / "home" / "tasks.py").write_text(TASKS)
    [commands] = [text for kind, text in blocks if kind == "sh"]
    (stack.root / ".venv" / "bin" / "uv").symlink_to(ROOT / ".venv" / "bin" / "uv")
    stack.inv("lock")
    for line in commands.splitlines():
        said = stack.inv(*line.split()[1:]).stdout
    assert "config" in said, "the log of Celery"
    asked = ("manage", "--", "shell", "--verbosity", "0", "-c", ASK)
    assert stack.inv(*asked).stdout == "3\n"
    logged = lambda: stack.inv("logs", "--service", "celery").stdout  # noqa: E731
    eventually(lambda: "home.tasks.add" in logged(), 10, "the task is in the log")
