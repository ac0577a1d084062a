"""`inv lock`: from requirements/*.in, which people write, to *.txt, which machines install."""

from ops import ROOT, packages, process

# The lowest version that the launcher accepts; each lock holds for it and all later ones.
PYTHON_VERSION = "3.11"


def compile_all(upgrade: bool) -> None:
    """Compile every lock, with hashes for all platforms; base first, since others refer to it."""
    packages.ensure("build")
    options = ["--universal", "--generate-hashes", "--quiet", "--python-version", PYTHON_VERSION]
    header = ["--custom-compile-command", "inv lock", *(["--upgrade"] if upgrade else [])]
    names = sorted(path.stem for path in (ROOT / "requirements").glob("*.in"))
    for name in sorted(names, key=lambda name: name != "base"):
        files = ["--output-file", f"requirements/{name}.txt", f"requirements/{name}.in"]
        process.attach_or_fail(
            [".venv/bin/uv", "pip", "compile", *options, *header, *files], progress=True
        )
