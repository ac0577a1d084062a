"""What makes an image or a stack stale, and what does not."""

from pathlib import Path

import checkout
import pytest

from djup.checkout import env, env_file, fingerprint
from djup.settings.settings import Settings

NEEDED = "COMPOSE_PROJECT_NAME=shop\nSECRET_KEY=x\nSQL_PASSWORD=x\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = checkout.make(tmp_path / "shop")
    (root / ".env").write_text(NEEDED)
    (root / ".state").mkdir()
    monkeypatch.setattr(fingerprint, "ROOT", root)
    monkeypatch.setattr(env_file, "ENV", root / ".env")
    monkeypatch.setattr(fingerprint, "NOTE", root / ".state" / "up.json")
    return root


def settings(root: Path) -> Settings:
    return env.settings_from((root / ".env").read_text())


def hashes(root: Path) -> tuple[str, str]:
    found = settings(root)
    image = fingerprint.image_inputs(found)
    return image, fingerprint.stack_inputs(found, image)


@pytest.mark.parametrize(
    ("path", "image_changes", "stack_changes"),
    [
        ("compose/web/Dockerfile", True, True),
        (f"{fingerprint.PROGRAMS}/ask.py", True, True),
        ("packages/djup-web/src/djup_web/wait.py", False, False),
        ("requirements/base.txt", True, True),
        ("requirements/build.txt", True, True),
        ("requirements/prod.txt", False, False),
        ("compose/dev.yaml", True, True),
        ("compose/web.yaml", False, True),
        ("compose/db.yaml", False, True),
        (".env", False, False),  # a comment
        ("requirements/base.in", False, False),
        ("requirements/test.txt", False, False),
        ("project/config/settings.py", False, False),
        ("project/manage.py", False, False),
        ("packages/djup/src/djup/checkout/env.py", False, False),
        ("tasks.py", False, False),
    ],
)
def test_a_changed_file(root: Path, path: str, image_changes: bool, stack_changes: bool) -> None:
    image, stack = hashes(root)
    with (root / path).open("a") as file:
        file.write("# changed\n")
    now = hashes(root)
    assert (now[0] != image, now[1] != stack) == (image_changes, stack_changes)


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("DEBUG=0", True),
        ("MAIL_HOST=mail.example.org", True),
        ("PROD_MAIL_HOST=mail.example.org", False),
        ("DEPLOY_CHECK=/shop/", False),
        ("WEB_REPLICAS=3", False),
        ("DOMAIN=shop.example.org", False),
    ],
)
def test_a_key_of_env(root: Path, line: str, changes: bool) -> None:
    """What is production's does not make the development stack stale."""
    stack, embedded = hashes(root)[1], fingerprint.embedded_inputs(settings(root))
    (root / ".env").write_text(f"{NEEDED}{line}\n")
    assert (hashes(root)[1] != stack) == changes
    assert (fingerprint.embedded_inputs(settings(root)) != embedded) == changes


def test_the_same_files_have_the_same_hashes(root: Path) -> None:
    before = hashes(root)
    for path in root.rglob("*"):
        if path.is_file():
            path.touch()  # time alone changes nothing
    assert hashes(root) == before


def test_content_that_moves_to_another_file_is_a_change(root: Path) -> None:
    """Hashed file by file: the same bytes in a row are not the same files."""
    base, build = (root / "requirements" / name for name in ("base.txt", "build.txt"))
    base.write_text("one\ntwo\n")
    build.write_text("three\n")
    before = hashes(root)
    base.write_text("one\n")
    build.write_text("two\nthree\n")
    assert hashes(root)[0] != before[0]


@pytest.mark.parametrize(
    ("line", "image_changes"),
    [
        ("PYTHON_IMAGE=mirror/python:3.13-alpine", True),
        ("SYSTEM_PACKAGES=gettext", True),
        ("POSTGRES_IMAGE=postgres:17-alpine", False),
    ],
)
def test_base_images(root: Path, line: str, image_changes: bool) -> None:
    image, stack = hashes(root)
    (root / ".env").write_text(f"{NEEDED}{line}\n")
    assert (hashes(root)[0] != image) == image_changes
    assert hashes(root)[1] != stack


def test_a_changed_default_makes_the_stack_stale(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hashes(root)
    example = (root / ".env.example").read_text().replace("SQL_DATABASE=app", "SQL_DATABASE=shop")
    (root / ".env.example").write_text(example)
    monkeypatch.setattr(env_file, "EXAMPLE", root / ".env.example")
    assert hashes(root)[1] != before[1]


# The note of the last good `up`

CONFIGS = {"db": "aaa", "web": "bbb"}


def test_what_was_remembered_is_current(root: Path) -> None:
    fingerprint.remember("inputs", CONFIGS)
    assert fingerprint.is_current("inputs", dict(CONFIGS))
    assert [path.name for path in (root / ".state").iterdir()] == ["up.json"]


@pytest.mark.parametrize(
    ("inputs", "configs"),
    [
        ("other", CONFIGS),
        ("inputs", {"db": "aaa", "web": "other"}),
        ("inputs", {"db": "aaa"}),
        ("inputs", {}),
    ],
)
def test_anything_else_is_not(root: Path, inputs: str, configs: dict[str, str]) -> None:
    fingerprint.remember("inputs", CONFIGS)
    assert not fingerprint.is_current(inputs, configs)


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"inputs": 1}'])
def test_a_broken_note_is_not_current(root: Path, content: bytes) -> None:
    fingerprint.NOTE.write_bytes(content)
    assert fingerprint.is_current("inputs", CONFIGS) is False


def test_no_note_is_not_current(root: Path) -> None:
    assert fingerprint.is_current("inputs", CONFIGS) is False
