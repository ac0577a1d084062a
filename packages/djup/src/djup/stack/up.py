"""`inv up`: from whatever state the checkout is in to a page that is served."""

from djup import STATE
from djup.checkout import debugging, env
from djup.code import locks, requirements
from djup.host import ports
from djup.problems import OldUserModel, documents, problem
from djup.settings import stages, typos
from djup.settings.settings import Settings
from djup.stack import accounts, copied, runtimes, switch
from djup.terminal import console, options
from djup.terminal.task import this_task

OLD_USERS = "auth.User"  # as djup_web/users.py has it


def run(runtime: str, port: str, debug: bool) -> None:
    """Bring the stack up, on another runtime or at another port if one is given, under debugpy if
    `debug`; print its URL."""
    locks.finish()
    _end_forgotten()
    if port:
        options.port(port)
    settings = copied.settle(env.load_any(runtime, port))
    _tell_of_slips(settings)
    if port:
        settings = _move_to_port(settings, port)
    if runtime:
        settings = switch.switch(settings, runtime)
    requirements.tell_of_unlocked()
    if cause := requirements.unreported(settings.values["SENTRY_DSN"], "base", "dev"):
        raise cause
    _prepare_debugging(settings, debug)
    stack = runtimes.stack_of(settings)
    accounts.settle(stack)
    try:
        stack.up()
    except OldUserModel as old:
        settings = _keep_old_users(settings, old)
        stack = runtimes.stack_of(settings)
        stack.up()
    if page := stack.mail_page():
        console.say(f"mail: {page}")
    if debug and not this_task.dry:
        _tell_of_debugger(settings)
    console.answer(settings.url)


def _prepare_debugging(settings: Settings, debug: bool) -> None:
    """Have what DEBUG_TOOLBAR and --debug need, and note whether the web runs under debugpy."""
    if debug and not settings.debug:
        raise problem("ENV06", key="DEBUG", allowed="1 for inv up --debug")
    if this_task.dry:
        return
    if debug and not debugging.is_debugged():
        _refuse_taken(debugging.port(settings))
    debugging.choose(debug)
    debugging.fetch(settings)


def _refuse_taken(port: int) -> None:
    """Raise where the debugger could not listen: this names who does."""
    if not ports.port_is_free(port):
        free, holder = ports.free_port(port), ports.holder(port).words
        raise problem("NET03", port=port, holder=holder, free=free)


def _tell_of_debugger(settings: Settings) -> None:
    """Say where to attach, or that there is nothing to attach to."""
    port = debugging.port(settings)
    if not ports.port_is_free(port):
        docs = documents.located("docs/how-to/debug.md")
        console.say(f"debugpy listens on 127.0.0.1:{port}: attach an editor ({docs})")
    else:
        console.say(f"nothing listens on 127.0.0.1:{port}: inv logs --service web shows why")


def _keep_old_users(settings: Settings, old: OldUserModel) -> Settings:
    """Let an older database keep Django's user model: with the project's it could not be used."""
    docs = documents.located("docs/how-to/users.md")
    return env.write(
        settings,
        f"note {old.code}: {old.what.rstrip('.')} ({docs})",
        {"AUTH_USER_MODEL": OLD_USERS},
    )


def _end_forgotten() -> None:
    """End what still runs here of an embedded stack whose notes are gone, as after a `git clean`,
    before its port and its data folder are looked at."""
    if not STATE.exists():
        from djup.stack import strays  # slow to load, and seldom needed

        strays.end(strays.find(()))


def _tell_of_slips(settings: Settings) -> None:
    """Name the keys that look mistyped: what they should have set has its default instead."""
    deployed = stages.prefixes(settings.values)
    for key, meant in typos.find(settings.own, env.known_keys(), deployed).items():
        console.say(problem("ENV11", key=key, meant=meant).as_note())


def _move_to_port(settings: Settings, port: str) -> Settings:
    """Serve the page on another port from now on."""
    wanted = settings.with_values({"WEB_PORT": port}).web_port  # checked
    if wanted == settings.web_port:
        return settings
    ports.refuse_taken(wanted)
    return env.write(settings, f"the page moves from port {settings.web_port}", {"WEB_PORT": port})
