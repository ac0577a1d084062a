"""What pip is told is read as pip reads it, and handed to uv and to the build."""

import subprocess
from pathlib import Path

import pytest

from djup.host import package_index
from djup.stack import images

MIRROR = "https://pypi.example.org/simple"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which pip is told nothing."""
    for option, name in package_index.OPTIONS.items():
        for variable in (name, package_index._variable(option), "UV_DEFAULT_INDEX", "NETRC"):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("UV_INDEX_STRATEGY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "xdg"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setattr(package_index, "MACHINE", tmp_path / "etc")
    monkeypatch.setattr(package_index, "ENV", tmp_path / ".env")
    return tmp_path


def exported(script: str) -> dict[str, str]:
    """The variables that a step of the build gets by this script."""
    done = subprocess.run(
        ["env", "-i", "sh", "-c", f"{script} env"], capture_output=True, text=True
    )
    return dict(
        line.split("=", 1) for line in done.stdout.splitlines() if "PIP" in line or "UV" in line
    )


def test_nothing_is_told() -> None:
    assert package_index.told() == {} and package_index.for_build() == ""
    assert not [name for name in package_index.environment() if name.startswith("UV_INDEX")]
    assert package_index.shown() == "pypi.org"


def test_the_files_of_pip_in_their_order(home: Path) -> None:
    for name, index in (("xdg/pip", "a"), (".pip", "b"), (".config/pip", "c")):
        (home / name).mkdir(parents=True)
        (home / name / "pip.conf").write_text(
            f"[global]\nindex-url = https://{index}.example/simple\n"
        )
        assert package_index.told()["index-url"] == f"https://{index}.example/simple"
    (home / "pip.conf").write_text(
        "[global]\nindex_url = https://d.example\n[install]\nproxy = p:1\n"
    )
    assert package_index.told() == {"index-url": "https://d.example", "proxy": "p:1"}


def test_variables_beat_files_and_dotenv_beats_both(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "pip.conf").write_text("[install]\nindex-url = https://a.example\n")
    monkeypatch.setenv("PIP_INDEX_URL", "https://b.example")
    assert package_index.environment()["UV_INDEX_URL"] == "https://b.example"
    (home / ".env").write_text(f"PIP_INDEX_URL='{MIRROR}' # ours\nPIP_CERT=ca.pem\n")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://c.example")
    found = package_index.environment()
    assert found["UV_INDEX_URL"] == found["PIP_INDEX_URL"] == MIRROR
    assert "UV_DEFAULT_INDEX" not in found
    assert found["SSL_CERT_FILE"] == found["PIP_CERT"] == str(package_index.ROOT / "ca.pem")


def test_what_uv_is_told_itself_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", MIRROR)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://c.example")
    found = package_index.environment()
    assert found["UV_DEFAULT_INDEX"] == "https://c.example" and "UV_INDEX_URL" not in found


def test_files_and_folders_stay_with_pip(home: Path) -> None:
    (home / "pip.conf").write_text(
        f"[global]\nfind-links = /wheels\nextra-index-url =\n  file:///opt/simple\n  {MIRROR}\n"
    )
    found = package_index.environment()
    assert found["UV_EXTRA_INDEX_URL"] == MIRROR and "UV_FIND_LINKS" not in found
    assert found["UV_INDEX_STRATEGY"] == "unsafe-best-match"


def test_the_build_is_told_with_the_login_of_netrc(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".netrc").write_text("machine pypi.example.org login ann password it's/@\n")
    (home / ".netrc").chmod(0o600)
    monkeypatch.setenv("PIP_INDEX_URL", MIRROR)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://localhost:3141/simple https://u:p@b.example")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "b.example")
    found = exported(package_index.for_build())
    login = "https://ann:it%27s%2F%40@pypi.example.org/simple"
    assert found["PIP_INDEX_URL"] == found["UV_INDEX_URL"] == login
    assert found["PIP_EXTRA_INDEX_URL"] == "https://u:p@b.example", "no build reaches our loopback"
    assert found["PIP_TRUSTED_HOST"] == found["UV_INSECURE_HOST"] == "b.example"
    assert package_index.shown() == "pypi.example.org"


STEP = "[packages 3/6] RUN . /usr/local/share/web/package-index && pip install\n"


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "PIP_CERT"),
        ("invalid peer certificate: UnknownIssuer", "PIP_CERT"),
        ("HTTP status client error (401 Unauthorized) for url", "the user and the password"),
        ("ERROR: HTTP error 403 while getting", "the user and the password"),
        ("EOFError: EOF when reading a line", "the user and the password"),
        ("Failed to establish a new connection: Connection refused", "check the network"),
        ("ERROR: Could not find a version that satisfies the requirement uv", "check the network"),
        ("dns error: failed to lookup address information", "check the network"),
    ],
)
def test_why_packages_could_not_be_fetched(said: str, fix: str) -> None:
    problem = images.cause_of_step({}, STEP + said, "log")
    assert problem and problem.code == "IMG08" and fix in problem.fix


def test_a_step_that_failed_for_itself() -> None:
    for step in (f"{STEP}hashes do not match", "RUN false\n401 Unauthorized"):
        assert images.cause_of_step({}, step, "log") is None
