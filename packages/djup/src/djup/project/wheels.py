"""The toolkit's two wheels: built from what git has of their sources, or as they were installed."""

import base64
import hashlib
import json
import shutil
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from djup import IS_INSTALLED, ROOT, __version__
from djup.host import git, packages, process, temporary
from djup.problems import problem
from djup.project import manual, starter

WEB = f"djup_web-{__version__}-py3-none-any.whl"
TOOLKIT = f"djup-{__version__}-py3-none-any.whl"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time that a zip knows


def build(folder: Path) -> list[Path]:
    """Build both wheels into `folder`: the same commit, the same bytes. Their paths."""
    packages.ensure("build")
    folder.mkdir(parents=True, exist_ok=True)
    with temporary.folder() as made:
        stage = Path(made)
        _copy(stage / "web", "packages/djup-web")
        web = _build(stage / "web", folder, WEB)
        _copy(stage / "toolkit", "packages/djup")
        files = stage / "toolkit" / "src" / "djup" / "files"
        for name in starter.SOURCES:
            _copy(files, name, keep_path=True)
        for path, text in manual.pages().items():
            (files / path).parent.mkdir(parents=True, exist_ok=True)
            (files / path).write_text(text)
        (files / "wheels").mkdir()
        shutil.copy(web, files / "wheels")
        return [_build(stage / "toolkit", folder, TOOLKIT), web]


def ours(folder: Path) -> list[Path]:
    """Both wheels, as a project pins them, written into `folder`."""
    if not IS_INSTALLED:
        return build(folder)
    folder.mkdir(parents=True, exist_ok=True)
    installed = distribution("djup")
    web = Path(str(installed.locate_file("djup"))) / "files" / "wheels" / WEB
    shutil.copy(web, folder)
    target = folder / TOOLKIT
    if source := _installed_from(installed):
        shutil.copy(source, target)
    else:
        _pack(installed, target)
    return [target, folder / WEB]


def sha256(wheel: Path) -> str:
    """The hash that a lock pins a wheel by."""
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def _copy(target: Path, name: str, *, keep_path: bool = False) -> None:
    """Copy what git knows of a path as it lies in the checkout: no settings, no data, no caches."""
    for path in git.listed(name):
        if path.startswith(starter.NOT_THEIRS):
            continue
        inside = path if keep_path else Path(path).relative_to(name)
        if "tests" in Path(path).relative_to(name).parts[:1] and not keep_path:
            continue
        (target / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target / inside)


def _build(source: Path, folder: Path, name: str) -> Path:
    options = ("--wheel", "--quiet", "--offline", "--no-create-gitignore", "--out-dir", str(folder))
    done = process.run([str(packages.VENV / "bin" / "uv"), "build", *options, str(source)])
    if done.code or not (folder / name).exists():
        raise problem("PKG05", done.err.strip(), package=source.name)
    return folder / name


def _installed_from(installed: Distribution) -> Path | None:
    """The wheel that is installed, if it was a file and is still there."""
    try:
        found = json.loads(installed.read_text("direct_url.json") or "{}")
    except ValueError:
        return None
    address = urlsplit(found.get("url", ""))
    path = Path(unquote(address.path))
    fits = address.scheme == "file" and path.name == TOOLKIT and path.is_file()
    return path if fits else None


def _pack(installed: Distribution, target: Path) -> None:
    """The installed files as a wheel again: those that its RECORD names, less what an installer
    has added."""
    made = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json", "uv_build.json"}
    files = sorted(
        str(file)
        for file in installed.files or ()
        if ".." not in file.parts and file.suffix != ".pyc" and file.name not in made
    )
    lines = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in files:
            content = Path(str(installed.locate_file(name))).read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            lines.append(f"{name},sha256={digest.decode()},{len(content)}\n")
            archive.writestr(_entry(name), content)
        record = f"djup-{__version__}.dist-info/RECORD"
        archive.writestr(_entry(record), "".join([*lines, f"{record},,\n"]))


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    return entry
