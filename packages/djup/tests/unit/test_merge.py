"""What an upgrade does to a file, by what it was, what it is, and what it shall be."""

from pathlib import Path

import pytest

from djup.checkout import blocks
from djup.project import adopted, locks, merge
from djup.project.merge import Act, Step

LINES = "one\ntwo\nthree\nfour\nfive\nsix\n"
EDITED = LINES.replace("one", "ONE")
NEWER = LINES.replace("six", "SIX")
OTHER = LINES.replace("one", "uno")
# The file in the project, in the version of before and in the other one -> what becomes of it.
CASES = [
    (LINES, LINES, LINES, None),
    (EDITED, LINES, LINES, None),
    (NEWER, LINES, NEWER, None),
    (LINES, LINES, NEWER, Step("a", Act.REPLACED, NEWER)),
    (EDITED, LINES, NEWER, Step("a", Act.MERGED, EDITED.replace("six", "SIX"))),
    (None, LINES, NEWER, Step("a", Act.DELETED)),
    (None, LINES, LINES, None),
    (None, None, NEWER, Step("a", Act.ADDED, NEWER)),
    (EDITED, None, NEWER, Step("a", Act.YOURS)),
    (LINES, LINES, None, Step("a", Act.REMOVED)),
    (EDITED, LINES, None, Step("a", Act.KEPT)),
    (None, LINES, None, None),
]


@pytest.mark.parametrize(("ours", "before", "after", "step"), CASES)
def test_each_case(
    tmp_path: Path, ours: str | None, before: str | None, after: str | None, step: Step | None
) -> None:
    found = plan(tmp_path, ours, before, after)
    assert found == ([step] if step else [])


def test_two_edits_of_one_line_are_left_with_markers(tmp_path: Path) -> None:
    [step] = plan(tmp_path, EDITED, LINES, OTHER)
    assert step.act is Act.CONFLICT and step.text
    assert merge.CONFLICT in step.text and "ONE" in step.text and "uno" in step.text
    assert ">>>>>>> the toolkit's" in step.text


def test_what_adopt_wrote_into_the_example_survives(tmp_path: Path) -> None:
    """The Python of the image, and the keys at its end, where new ones of the toolkit come too."""
    before, after = "PYTHON_IMAGE=python:3.13\nA=\n", "PYTHON_IMAGE=python:3.15\nA=\n\nB=\n"
    ours = f"PYTHON_IMAGE=python:3.11\nA=1\n\n{adopted.NEEDED}MAIL_KEY=\nOURS=\n"
    [step] = plan(tmp_path, ours, *(adopted.as_in(ours, text) for text in (before, after)))
    merged = f"PYTHON_IMAGE=python:3.11\nA=1\n\nB=\n\n{adopted.NEEDED}MAIL_KEY=\nOURS=\n"
    assert step == Step("a", Act.MERGED, merged)


def plan(root: Path, ours: str | None, before: str | None, after: str | None) -> list[Step]:
    if ours is not None:
        (root / "a").write_text(ours)
    one, two = ({"a": text} if text is not None else {} for text in (before, after))
    return [*merge.steps(root, one, two)]


PINS = f"""\
django==5.2 \\
    --hash=sha256:{"d" * 64}
djup-web[serve]==0.1.0 \\
    --hash=sha256:{"a" * 64}
    # via -r requirements/base.in
djupiter==1 \\
    --hash=sha256:{"e" * 64}
"""


def test_a_lock_pins_the_other_wheel_and_nothing_else_changes() -> None:
    wheels = {"djup_web-0.2.0-py3-none-any.whl": "b" * 64, "djup-0.2.0-py3-none-any.whl": "c" * 64}
    expected = PINS.replace("0.1.0", "0.2.0").replace("a" * 64, "b" * 64)
    assert locks.with_other_wheels(PINS, wheels) == expected


def test_what_is_around_a_block_keeps_its_line_ends(tmp_path: Path) -> None:
    before = blocks.replaced("ours\r\n", "a\n")
    (tmp_path / "x").write_bytes(before.encode())
    [step] = merge.steps(tmp_path, {"x": "a\n"}, {"x": "b\n"}, ("x",))
    assert step == Step("x", Act.REPLACED, before.replace("a\r\n#", "b\r\n#"))
