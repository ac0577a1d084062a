"""What a Django project consists of: where its code, settings and requirements are. Only read."""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from djup.problems import problem
from djup.project.variables import Variable, parsed, read_by
from djup.settings.layout import MODULE

DEVELOPMENT = ("local", "dev", "development", "develop")
PRODUCTION = ("production", "prod", "live")
SKIPPED = {"node_modules", "site-packages", "docs", "tests", "test"}
# Of requirements, in the order of preference: what production needs, then what everything needs.
MAIN = ("production", "prod", "base", "common", "main", "requirements", "default")
FURTHER = ("local", "dev", "development", "develop", "test", "tests", "testing", "ci")
# Locks of other tools, and whether these are asked for them.
LOCKS = ("uv.lock", "poetry.lock", "Pipfile.lock")
GROUPS = ("dev", "develop", "development", "test", "tests", "testing")
# Minor versions: supported in the image, usual there, and what the tasks need at least.
OLDEST_PYTHON, NEWEST_PYTHON, USUAL_PYTHON, OF_TASKS = 10, 14, 13, 11
PYTHON_OF_DJANGO_6 = 12
OLDEST_DJANGO = (4, 2)
ANY_MINOR = 99
NAMED = re.compile(
    r"(?im)^[ \t]*[\"']?([a-z0-9][\w.-]*)[ \t]*(?:\[([^\]]*)\])?[ \t]*([=<>~!][^;#\"'\n\\]*)?"
)
INCLUDED = re.compile(r"(?m)^[ \t]*(?:-r|--requirement)[ \t=]+(\S+)")


@dataclass(frozen=True)
class Module:
    """A settings module: its dotted name, and its file."""

    name: str
    file: Path


@dataclass(frozen=True)
class Choices:
    """What the user has decided, '' for what is to be found."""

    project: str = ""
    settings: str = ""
    production_settings: str = ""
    requirements: Sequence[str] = ()


@dataclass(frozen=True)
class Survey:
    """What was found. Paths in `project` and the requirements are from the root."""

    root: Path
    project: str
    settings: Module
    production: Module
    requirements: Sequence[str]
    dev_requirements: Sequence[str]
    python: str  # the oldest that the locks are for
    image_python: str  # that of the image
    packages: Mapping[str, str] = field(default_factory=dict)  # name -> extras and versions
    variables: Mapping[str, Variable] = field(default_factory=dict)
    left_alone: Sequence[str] = ()

    @property
    def environment(self) -> dict[str, str]:
        """Which of the variables are facts of the toolkit."""
        return {name: one.fact for name, one in sorted(self.variables.items()) if one.fact}

    @property
    def needed(self) -> list[str]:
        """The variables without which the settings fail, and that only the user knows."""
        return sorted(n for n, one in self.variables.items() if one.required and not one.fact)


def survey(root: Path, files: Sequence[str], choices: Choices) -> Survey:
    """Look at a project whose files git lists as `files`, or raise what is not clear."""
    project = _chosen(root, choices.project) if choices.project else _project(root, files)
    settings = _settings(root, project, files, choices.settings)
    chosen = choices.production_settings
    production = _module(root, project, files, chosen) if chosen else _production(settings)
    settings = settings if choices.settings else _development(settings)
    requirements, further = _requirements(root, project, list(choices.requirements))
    packages = _packages(root, [*requirements, *further])
    _refuse_old(packages)
    modules = {module.file for one in (settings, production) for module in _family(one)}
    return Survey(
        root,
        project,
        settings,
        production,
        requirements,
        further,
        _oldest_python(root, packages),
        _image_python(root),
        packages,
        read_by(sorted(modules)),
        [name for name in files if _is_container_file(name)],
    )


def _chosen(root: Path, folder: str) -> str:
    """The folder of manage.py that the user names, from the root."""
    path = Path(folder)
    if not (root / path / "manage.py").is_file() or path.is_absolute():
        raise problem("NEW08.chosen", folder=folder)
    return str(path)


def _project(root: Path, files: Sequence[str]) -> str:
    """The folder of manage.py."""
    programs = [
        name
        for name in files
        if Path(name).name == "manage.py" and SKIPPED.isdisjoint(Path(name).parts)
    ]
    django = [name for name in programs if "DJANGO_SETTINGS_MODULE" in _text(root / name)]
    shallow = min((name.count("/") for name in django), default=0)
    found = [str(Path(name).parent) for name in django if name.count("/") == shallow]
    if not found:
        raise problem("NEW08")
    if len(found) > 1:
        raise problem("NEW08.several", folders=", ".join(found))
    return found[0]


def _settings(root: Path, project: str, files: Sequence[str], chosen: str) -> Module:
    match = MODULE.search(_text(root / project / "manage.py"))
    name = chosen or (match[1] if match else "")
    if not name:
        raise problem("NEW09", module="a settings module")
    return _module(root, project, files, name)


def _module(root: Path, project: str, files: Sequence[str], name: str) -> Module:
    """The file of a module: beside manage.py, or wherever sys.path leads to."""
    path = name.replace(".", "/")
    wanted = (f"{path}.py", f"{path}/__init__.py")
    inside = "" if project == "." else f"{project}/"
    for ending in wanted:
        exact = [file for file in files if file == f"{inside}{ending}"]
        others = [file for file in files if file.endswith(f"/{ending}")]
        if found := (exact or others):
            return Module(name, root / min(found, key=len))
    raise problem("NEW09", module=name)


def _siblings(module: Module, names: Sequence[str]) -> Iterator[Module]:
    """The modules of these names in the package of a settings module, or that it is."""
    package = module.name if module.file.name == "__init__.py" else module.name.rpartition(".")[0]
    for name in names:
        file = module.file.with_name(f"{name}.py")
        if file.is_file() and _is_of_settings(file):
            yield Module(f"{package}.{name}" if package else name, file)


def _is_of_settings(file: Path) -> bool:
    """Whether a module of the package is one of settings, rather than any other code."""
    return bool(re.search(r"(?m)^(from \.|[A-Z][A-Z_]+\s*(?::[^=]+)?=)", _text(file)))


def _production(module: Module) -> Module:
    return next(_siblings(module, PRODUCTION), module)


def _development(module: Module) -> Module:
    """The module itself, unless it is that of production and there is one for development."""
    is_production = module.name.rpartition(".")[2] in PRODUCTION
    return next(_siblings(module, DEVELOPMENT), module) if is_production else module


def _family(module: Module, known: frozenset[Path] = frozenset()) -> Iterator[Module]:
    """A settings module, and those of its package that it imports everything from; none of those
    that are `known` again, for two may import each other."""
    yield module
    known |= {module.file}
    for node in ast.walk(parsed(module.file)):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            name = (node.module or "").rpartition(".")[2]
            file = module.file.with_name(f"{name}.py")
            if name and file.is_file() and file not in known:
                yield from _family(Module(name, file), known)


def _requirements(
    root: Path, project: str, chosen: list[str]
) -> tuple[Sequence[str], Sequence[str]]:
    """The files whose packages the image gets, and those that development gets as well."""
    for name in chosen:
        if not (root / re.split(r"[:\[]", name)[0]).is_file():
            raise problem("NEW10", folder=name)
    for folder in dict.fromkeys(("", "" if project == "." else f"{project}/")):
        if found := _requirements_in(root, folder):
            return (chosen or found[0]), found[1]
    if chosen:
        return chosen, ()
    raise problem("NEW10", folder="requirements.txt, a folder requirements/, or pyproject.toml")


def _requirements_in(root: Path, folder: str) -> tuple[Sequence[str], Sequence[str]] | None:
    here = root / folder
    if folder == "" and (lock := next((name for name in LOCKS if (here / name).is_file()), "")):
        return [lock], [f"{lock}:dev"]
    texts = [f"{folder}{path}" for path in _texts(here)]
    main = next((path for name in MAIN for path in texts if _kind(path) == name), "")
    if main:
        return [main], [path for path in texts if _kind(path) in FURTHER]
    declared = _pyproject(here / "pyproject.toml")
    if "dependencies" in declared.get("project", {}):
        return [f"{folder}pyproject.toml"], [*_groups(declared, f"{folder}pyproject.toml")]
    return None


def _texts(here: Path) -> list[str]:
    """The files of requirements: in the folder itself, or in one called requirements."""
    found = [*here.glob("*requirements*.txt"), *here.glob("requirements/*.txt")]
    return [str(path.relative_to(here)) for path in sorted(found)]


def _kind(path: str) -> str:
    """What a file of requirements is for, by its name: requirements-dev.txt is for dev."""
    file = Path(path)
    if file.parent.name == "requirements":
        return file.stem
    return re.sub(r"requirements[-_.]?|[-_.]?requirements", "", file.stem) or "requirements"


def _groups(declared: Mapping[str, Any], file: str) -> Iterator[str]:
    """What development needs, of pyproject.toml: its groups, then its extras, by their names."""
    yield from (
        f"{file}:{name}" for name in GROUPS if name in declared.get("dependency-groups", {})
    )
    extras = declared["project"].get("optional-dependencies", {})
    yield from (f"{file}[{name}]" for name in GROUPS if name in extras)


def _packages(root: Path, names: Sequence[str]) -> dict[str, str]:
    """The packages that these files name, in lower case, each with its extras and versions."""
    found: dict[str, str] = {}
    for name in names:
        for text in _with_included(root / re.split(r"[:\[]", name)[0]):
            for package, extras, versions in NAMED.findall(text):
                plain = re.sub(r"[-_.]+", "-", package).lower()
                told = f"[{extras}]" if extras else ""
                found[plain] = f"{told}{versions.strip(' ,')}" or found.get(plain, "")
    return found


def _with_included(file: Path, known: frozenset[Path] = frozenset()) -> Iterator[str]:
    """The text of a file of requirements, and of those that it includes; of a lock, what it pins as
    a file of requirements would say it."""
    text = _text(file)
    if file.suffix == ".lock":
        text = re.sub(r'(?m)^name = "(.+)"\nversion = "(.+)"', r"\1==\2", text)
    if file.name == "pyproject.toml":
        text = "\n".join(re.findall(r"[\"']([A-Za-z][^\"'\n]*)[\"']", text))
    yield text
    known |= {file.resolve()}
    for name in INCLUDED.findall(text):
        if (file.parent / name).resolve() not in known:
            yield from _with_included(file.parent / name, known)


def _refuse_old(packages: Mapping[str, str]) -> None:
    """Raise where the project asks for a Django that is too old."""
    exact = r"[=~]=\s*(\d+)(?:\.(\d+))?"
    match = re.search(rf"{exact}|<=?\s*(\d+)(?:\.(\d+))?", packages.get("django", ""))
    if not match:
        return
    newest = ANY_MINOR if match[1] else 0  # ==3.* may be any of them, <4 is none
    major, minor = int(match[1] or match[3]), int(match[2] or match[4] or newest)
    upper = (major, minor) <= OLDEST_DJANGO and match[3]
    if (major, minor) < OLDEST_DJANGO or upper:
        raise problem("NEW11", version=f"Django{packages['django']}")


def _image_python(root: Path) -> str:
    """The version of Python that the project says it runs on; else the usual one."""
    for name in (".python-version", "runtime.txt"):
        if match := re.search(r"\A\s*(?:python-)?3\.(\d+)", _text(root / name)):
            return _supported(int(match[1]))
    for file in sorted([*root.glob("Dockerfile*"), *root.glob("compose/**/Dockerfile*")]):
        if match := re.search(r"(?im)^FROM\s+\S*python:3\.(\d+)", _text(file)):
            return _supported(int(match[1]))
    exact, least = _required_python(root)
    return _supported(exact or max(USUAL_PYTHON, least))


def _oldest_python(root: Path, packages: Mapping[str, str]) -> str:
    """The oldest Python that the locks have to hold for: what the project requires, or its Django
    does, but not newer than that of the image."""
    image = int(_image_python(root).partition(".")[2])
    newest_django = re.search(r"[=~>]=\s*(\d+)", packages.get("django", ""))
    by_django = PYTHON_OF_DJANGO_6 if newest_django and int(newest_django[1]) >= 6 else 0
    exact, least = _required_python(root)
    return _supported(min(exact or max(least or OF_TASKS, by_django), image))


def _required_python(root: Path) -> tuple[int, int]:
    """The minor version that `requires-python` fixes, and the least that it allows; 0 for none."""
    declared = _pyproject(root / "pyproject.toml")
    poetry = declared.get("tool", {}).get("poetry", {}).get("dependencies", {}).get("python", "")
    wanted = declared.get("project", {}).get("requires-python", "") or str(poetry)
    exact = re.search(r"(?:==|~=)\s*3\.(\d+)", wanted)
    least = re.search(r"(?:>=?|\^)\s*3\.(\d+)", wanted)
    return int(exact[1]) if exact else 0, int(least[1]) if least else 0


def _supported(minor: int) -> str:
    return f"3.{min(max(minor, OLDEST_PYTHON), NEWEST_PYTHON)}"


def _pyproject(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(file))
    except tomllib.TOMLDecodeError:
        return {}


def _is_container_file(name: str) -> bool:
    """Whether a file is one of Docker's at the top."""
    return bool(re.fullmatch(r"(?i)(docker-)?compose[\w.-]*\.ya?ml|dockerfile[\w.-]*", name))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""
