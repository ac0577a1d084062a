"""`inv up`: from whatever state the checkout is in to a page that is served."""

from djup import STATE
from djup.checkout import env
from djup.code import locks, requirements
from djup.host import ports
from djup.problems import problem
from djup.settings import typos
from djup.settings.settings import Settings
from djup.stack import accounts, copied, runtimes, switch
from djup.terminal import console, options


def run(runtime: str, port: str) -> None:
    """Bring the stack up, on another runtime or at another port if one is given; print its URL."""
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
    stack = runtimes.stack_of(settings)
    accounts.settle(stack)
    stack.up()
    console.answer(settings.url)


def _end_forgotten() -> None:
    """End what still runs here of an embedded stack whose notes are gone, as after a `git clean`,
    before its port and its data folder are looked at."""
    if not STATE.exists():
        from djup.stack import strays  # slow to load, and seldom needed

        strays.end(strays.find(()))


def _tell_of_slips(settings: Settings) -> None:
    """Name the keys that look mistyped: what they should have set has its default instead."""
    for key, meant in typos.find(settings.own, env.known_keys()).items():
        console.say(problem("ENV11", key=key, meant=meant).as_note())


def _move_to_port(settings: Settings, port: str) -> Settings:
    """Serve the page on another port from now on."""
    wanted = settings.with_values({"WEB_PORT": port}).web_port  # checked
    if wanted == settings.web_port:
        return settings
    ports.refuse_taken(wanted)
    return env.write(settings, f"the page moves from port {settings.web_port}", {"WEB_PORT": port})
