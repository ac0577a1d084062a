"""`inv doctor`: every check that applies, what each found, and the mends that lose nothing."""

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module

from ops import console, env, process, runtimes
from ops.checks import Finding, dotenv, files, web
from ops.env import Settings
from ops.problems import Problem
from ops.process import ChildFailed

Check = Callable[[Settings], list[Finding]]


def run(fix: bool, as_json: bool) -> None:
    """Print what is found, mended first if `fix`; `ChildFailed` if anything is wrong."""
    found = examine()
    if fix and _mend(found):
        found = examine()
    console.answer(console.as_json([_record(f) for f in found]) if as_json else _as_text(found))
    if any(finding.problem for finding in found):
        raise ChildFailed(1)


def examine() -> list[Finding]:
    """The findings of every check that applies to this checkout, as it is now."""
    try:
        settings = env.load()
    except Problem as problem:
        return [Finding(".env", "cannot be used", problem)]
    module = import_module(f"ops.checks.{runtimes.MODULES[settings.runtime]}")
    checks: Sequence[Check] = (dotenv.check, files.check, module.check, web.check)
    return _without_repeats(finding for check in checks for finding in _findings(check, settings))


def _findings(check: Check, settings: Settings) -> list[Finding]:
    try:
        return check(settings)
    except Problem as problem:  # so that nothing more of this kind can be asked
        return [Finding(check.__module__.rpartition(".")[2], "cannot be asked", problem)]


def _without_repeats(findings: Iterable[Finding]) -> list[Finding]:
    """What several checks stumble over is told once, with its mend if one of them knows it."""
    kept: dict[str, Finding] = {}
    for number, finding in enumerate(findings):
        sentence = finding.problem.what if finding.problem else f"fine {number}"
        if sentence not in kept or finding.fix:
            kept[sentence] = finding
    return list(kept.values())


def _mend(found: Sequence[Finding]) -> bool:
    """Run the mends that lose nothing, each named before; whether there were any."""
    fixable = [finding for finding in found if finding.problem and finding.fix]
    for finding in fixable:
        assert finding.problem and finding.fix
        console.say(f"mending {finding.problem.code}: {finding.problem.what}")
        if not process.mode.dry:
            finding.fix()
    return bool(fixable)


def _as_text(found: Sequence[Finding]) -> str:
    rows = [("WRONG" if f.problem else "fine", f.subject, f.fact) for f in found]
    wrong = [finding for finding in found if finding.problem]
    return "\n".join(
        (
            console.table(("", "CHECK", "FOUND"), rows),
            *(f"\n{finding.problem}" for finding in wrong),
            f"\n{_summary(found)}",
        )
    )


def _summary(found: Sequence[Finding]) -> str:
    wrong = [finding for finding in found if finding.problem]
    if not wrong:
        return f"all {len(found)} checks are fine"
    fixable = [f.problem.code for f in wrong if f.fix and f.problem]
    by_itself = f"; inv doctor --fix mends {', '.join(fixable)}, and loses nothing"
    return f"{len(wrong)} of {len(found)} checks found something{by_itself if fixable else ''}"


def _record(finding: Finding) -> dict[str, object]:
    problem = finding.problem
    return {
        "check": finding.subject,
        "found": finding.fact,
        "fine": problem is None,
        "code": problem.code if problem else None,
        "problem": problem.what if problem else None,
        "mend": problem.mend if problem else None,
        "evidence": problem.evidence if problem else None,
        "fixable": finding.fix is not None,
    }
