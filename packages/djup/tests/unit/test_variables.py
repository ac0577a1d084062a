"""Which variables settings read, whether they fail without them, and what they stand for."""

from pathlib import Path

import pytest

from djup.problems import Problem
from djup.project import survey
from djup.project.survey import Module
from djup.project.variables import Variable, read_by


def variable(folder: Path, line: str) -> Variable:
    """The one variable that a module of this line reads."""
    (folder / "settings.py").write_text(f"{line}\n")
    [found] = read_by([folder / "settings.py"]).values()
    return found


@pytest.mark.parametrize(
    ("line", "required"),
    [
        ('os.environ["KEY"]', True),
        ('environ["KEY"]', True),
        ('os.environ.get("KEY")', False),
        ('os.environ.get("KEY", "x")', False),
        ('os.getenv("KEY")', False),
        ('env("KEY")', True),
        ('env.bool("KEY")', True),
        ('env("KEY", default=None)', False),
        ('env.list("KEY", [])', False),
        ('config("KEY", cast=int)', True),
        ('config("KEY", default="x")', False),
        ('envsecret("KEY")', False),  # one's own function: nobody knows
        ('if "KEY" in os.environ:\n    x = os.environ["KEY"]', False),
        ('env = environ.Env(KEY=(bool, False))\nx = env("KEY")', False),
    ],
)
def test_whether_settings_fail_without_it(tmp_path: Path, line: str, required: bool) -> None:
    assert variable(tmp_path, line) == Variable("KEY", required)


@pytest.mark.parametrize("line", ['os.environ["KEY"] = "x"', 'f("KEY")', "x = 1", 'd["KEY"]'])
def test_what_reads_nothing(tmp_path: Path, line: str) -> None:
    (tmp_path / "settings.py").write_text(f"{line}\n")
    assert not any(one.required for one in read_by([tmp_path / "settings.py"]).values())


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("SECRET_KEY", "SECRET_KEY"),
        ("DJANGO_SECRET_KEY", "SECRET_KEY"),
        ("S3_SECRET_KEY", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("DATABASE_URL", "DATABASE_URL"),
        ("POSTGRES_DB", "SQL_DATABASE"),
        ("DB_NAME", "SQL_DATABASE"),
        ("DBUSER", "SQL_USER"),
        ("DATABASE_PASSWORD", "SQL_PASSWORD"),
        ("POSTGRES_HOST", "SQL_HOST"),
        ("RDS_HOSTNAME", "SQL_HOST"),
        ("PGPORT", "SQL_PORT"),
        ("DJANGO_ALLOWED_HOSTS", "ALLOWED_HOSTS"),
        ("DEBUG", "DEBUG_WORD"),
        ("TEMPLATE_DEBUG", ""),
        ("MAIL_KEY", ""),
    ],
)
def test_what_of_the_toolkit_it_is(name: str, fact: str) -> None:
    assert Variable(name, required=True).fact == fact


def test_a_number_stays_one(tmp_path: Path) -> None:
    assert variable(tmp_path, 'DEBUG = int(os.environ.get("DEBUG", 0))').fact == "DEBUG"


def test_of_several_modules_the_strictest_counts(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text('os.environ.get("KEY")\n')
    (tmp_path / "production.py").write_text('os.environ["KEY"]\n')
    found = read_by([tmp_path / "base.py", tmp_path / "production.py"])
    assert found == {"KEY": Variable("KEY", required=True)}


def test_what_is_not_python(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("x = 1\nprint 1\n")
    with pytest.raises(Problem, match=r"settings\.py line 2"):
        read_by([tmp_path / "settings.py"])


def test_files_that_include_each_other_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from b import *\n")
    (tmp_path / "b.py").write_text("try:\n    from a import *\nexcept ImportError:\n    pass\n")
    family = survey._family(Module("a", tmp_path / "a.py"))
    assert [one.file.name for one in family] == ["a.py", "b.py"]
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfDjango==5.2\n-r b.txt\n")
    (tmp_path / "b.txt").write_text("-r a.txt\npsycopg[binary]\n")
    assert survey._packages(tmp_path, ["a.txt"]) == {"django": "==5.2", "psycopg": "[binary]"}
