"""The web as it answers: ready, at its URL, in time, with the migrations of this branch."""

from djup.doctor.finding import CLOCK_SECONDS, Finding
from djup.problems import NotRunning, Problem, problem
from djup.stack.causes import readiness
from djup.stack.causes import web as web_cause
from djup.stack.causes.readiness import Readiness
from djup.stack.stack import Stack


def check(stack: Stack) -> list[Finding]:
    """What a running web says of itself; nothing of one that does not run."""
    log = stack.web_log()
    if log is None:
        return []
    if not stack.is_served():  # whoever answers there is not this web
        fact = f"not at port {stack.settings.web_port}"
        return [Finding("web", fact, problem("RUN04"), edited=True)]
    answer = readiness.ask(stack.settings)
    return [
        _ready(stack, answer, log),
        *_migrations(answer),
        _page(stack, answer),
        _clock(answer),
    ]


def _ready(stack: Stack, answer: Readiness, log: str) -> Finding:
    if readiness.talks(answer) and not answer.status:  # what is not applied has its own line
        return Finding("web", "answers")
    cause = web_cause.of_running(stack, answer, log)
    if isinstance(cause, NotRunning):  # the db's, which has a line of its own
        return Finding("web", "waits for its database", known=False)
    return Finding("web", "not ready", cause)


def _migrations(answer: Readiness) -> list[Finding]:
    causes: list[Problem] = []
    if answer.conflicts:
        causes.append(problem("MIG04", sentence=f"{answer.reason}."))
    elif answer.unapplied and not answer.status:
        causes.append(problem("MIG01", missing=", ".join(answer.unapplied)))
    if answer.unknown:
        causes.append(problem("MIG03", unknown=", ".join(answer.unknown)))
    if answer.unmade:
        causes.append(readiness.unmade(answer))
    if not causes:
        if not answer.ready:
            return [Finding("migrations", "unknown", known=False)]
        return [Finding("migrations", "all applied")]
    return [Finding("migrations", "models, files and database differ", cause) for cause in causes]


def _page(stack: Stack, answer: Readiness) -> Finding:
    settings = stack.settings
    if not answer.host_allowed:
        corrected = settings.allows("127.0.0.1")  # since the web started
        cause = problem("RUN04") if corrected else problem("WEB05", host="127.0.0.1")
        return Finding("page", "answers 400", cause, edited=corrected, restarts=not corrected)
    status = readiness.page_status(settings)
    if status >= 500 and answer.ready:
        log = stack.web_log() or ""
        cause = problem("WEB07", web_cause.last_exception(log), url=settings.url, status=status)
        return Finding("page", f"answers {status}", cause)
    well = 200 <= status < 500
    return Finding("page", f"{settings.url} answers {status or 'nothing'}", known=well)


def _clock(answer: Readiness) -> Finding:
    if abs(answer.clock) > CLOCK_SECONDS:
        cause = problem("SYS03", service="web", seconds=abs(answer.clock))
        return Finding("clock", "differs", cause)
    return Finding("clock", "the clock of the web matches this machine's")
