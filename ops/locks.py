"""`inv lock`: from requirements/*.in, which people write, to *.txt, which machines install."""

from ops import ROOT, packages, process

# The lowest version that the launcher accepts; each lock holds for it and all later ones.
PYTHON_VERSION = "3.11"


def compile_all(upgrade: bool) -> None:
    """Compile every lock, with hashes for all platforms.

    All of them may be installed into one .venv, so each has to agree with those before it; the
    project's own packages come first.
    """
    packages.ensure("build")
    names = sorted(path.stem for path in (ROOT / "requirements").glob("*.in"))
    done: list[str] = []
    for name in sorted(names, key=lambda name: name != "base"):
        _compile(name, done, upgrade)
        done.append(name)


def _compile(name: str, agreeing_with: list[str], upgrade: bool) -> None:
    options = ["--universal", "--generate-hashes", "--quiet", "--python-version", PYTHON_VERSION]
    header = ["--custom-compile-command", "inv lock", *(["--upgrade"] if upgrade else [])]
    others = [word for it in agreeing_with for word in ("-c", f"requirements/{it}.txt")]
    files = ["--output-file", f"requirements/{name}.txt", f"requirements/{name}.in"]
    argv = [".venv/bin/uv", "pip", "compile", *options, *header, *others, *files]
    process.attach_or_fail(argv, progress=True)
