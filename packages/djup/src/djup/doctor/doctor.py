"""`inv doctor`: every check that applies, what each found, and the safe fixes."""

from collections.abc import Callable, Iterable, Sequence

from djup.checkout import env
from djup.docker import containers
from djup.doctor.checks import (
    dot_env,
    files,
    pg_dump_version,
    repository,
    scheduled_backups,
    trial_deploy,
    web,
)
from djup.doctor.finding import Finding, Fix
from djup.host import ownership
from djup.host.process import ChildFailed
from djup.problems import EngineProblem, Problem
from djup.settings.settings import Settings
from djup.stack import runtimes
from djup.stack.stack import Stack
from djup.terminal import console
from djup.terminal.task import this_task

Check = Callable[[Stack], list[Finding]]


def run(fix: bool, as_json: bool) -> None:
    """Print what is found, fixed first if `fix`; `ChildFailed` if anything is wrong."""
    findings = examine()
    if fix and _fix_all(findings):
        findings = examine()
    text = console.as_typed(_as_text(findings))
    console.answer(console.as_json([_record(f) for f in findings]) if as_json else text)
    if any(finding.problem for finding in findings):
        raise ChildFailed(1)


def examine() -> list[Finding]:
    """The findings of every check that applies to this checkout, as it is now."""
    try:
        settings = env.load()
    except Problem as problem:
        return [Finding(".env", "cannot be used", problem), *_findings("files", files.check)]
    stack = runtimes.stack_of(settings)
    findings: list[Finding] = []
    with containers.listed_once():
        for subject, check in _checks(settings):
            findings += _findings(subject, check, stack)
            if any(isinstance(finding.problem, EngineProblem) for finding in findings):
                break  # an engine that does not answer is not asked again
    return _without_repeats(findings)


def _checks(settings: Settings) -> Sequence[tuple[str, Check]]:
    """Each check, and what it is called where it cannot be made."""
    return (
        ("environment", dot_env.check),
        ("files", files.check),
        ("repository", repository.check),
        _runtime_check(settings),
        ("remote", pg_dump_version.check),
        ("web", web.check),
        ("deployed", trial_deploy.check),
        ("backups", scheduled_backups.check),
    )


def _runtime_check(settings: Settings) -> tuple[str, Check]:
    """The check of the runtime that `.env` names, whose module alone is imported."""
    if settings.in_containers:
        from djup.doctor.checks import docker_runtime

        return "compose", docker_runtime.check
    from djup.doctor.checks import embedded_runtime

    return "embedded", embedded_runtime.check


def _findings(subject: str, check: Callable[..., list[Finding]], *stack: Stack) -> list[Finding]:
    """What a check finds, or what keeps it from looking at its subject."""
    try:
        return check(*stack)
    except Problem as problem:
        cause = problem
    except OSError as error:
        cause = ownership.problem_of(error)
    return [Finding(subject, "cannot be reached", cause)]


def _without_repeats(findings: Iterable[Finding]) -> list[Finding]:
    """Report what several checks found once, with its fix if one of them has one."""
    kept: dict[str, Finding] = {}
    for number, finding in enumerate(findings):
        sentence = finding.problem.what if finding.problem else f"fine {number}"
        if sentence not in kept or finding.fix:
            kept[sentence] = finding
    restarts = any(finding.restarts for finding in kept.values())
    return [finding for finding in kept.values() if not (finding.edited and restarts)]


def _code(finding: Finding) -> str:
    return finding.problem.code if finding.problem else ""


def _fix_all(findings: Sequence[Finding]) -> bool:
    """Apply the safe fixes, naming each one first; return whether there were any."""
    fixable = [finding for finding in findings if finding.fix]
    for finding in fixable:
        assert finding.fix
        console.say(f"fixing {_code(finding)}: {finding.fix.does}")
        if not this_task.dry:
            _try(finding.fix)
    return bool(fixable)


def _try(fix: Fix) -> None:
    try:
        fix.run()
    except Problem as problem:  # the checks that follow report what is left
        console.say(str(problem))
    except OSError as error:
        console.say(str(ownership.problem_of(error)))


def _as_text(findings: Sequence[Finding]) -> str:
    rows = [(_verdict(f), f.subject, f.fact) for f in findings]
    wrong = [finding for finding in findings if finding.problem]
    return "\n".join(
        (
            console.table(("", "CHECK", "FOUND"), rows),
            *(f"\n{finding.problem}" for finding in wrong),
            f"\n{_summary(findings)}",
        )
    )


def _verdict(finding: Finding) -> str:
    if finding.problem:
        return "WRONG"
    return "fine" if finding.known else "-"


def _summary(findings: Sequence[Finding]) -> str:
    wrong = [finding for finding in findings if finding.problem]
    if not wrong:
        return f"nothing is wrong ({len(findings)} checks)"
    fixable = [_code(f) for f in wrong if f.fix]
    by_itself = f"; inv doctor --fix fixes {', '.join(fixable)} without losing anything"
    return f"{len(wrong)} of {len(findings)} checks found a problem{by_itself if fixable else ''}"


def _record(finding: Finding) -> dict[str, object]:
    problem = finding.problem
    return {
        "check": finding.subject,
        "found": finding.fact,
        "fine": problem is None,
        "known": finding.known,
        "code": problem.code if problem else None,
        "problem": problem.what if problem else None,
        "fix": problem.fix if problem else None,
        "evidence": problem.evidence if problem else None,
        "fixable": finding.fix is not None,
    }
