"""`inv up`: from whatever state the checkout is in to a page that is served."""

from djup.checkout import env
from djup.code import locks, requirements
from djup.stack import accounts, copied, runtimes, switch
from djup.terminal import console, options


def run(runtime: str, port: str) -> None:
    """Bring the stack up, on another runtime or at another port if one is given; print its URL."""
    locks.finish()
    copied.end_forgotten()
    if port:
        options.port(port)
    settings = copied.settle(env.load_any(runtime, port))
    copied.tell_of_slips(settings)
    if port:
        settings = copied.move_to_port(settings, port)
    if runtime:
        settings = switch.switch(settings, runtime)
    requirements.tell_of_unlocked()
    stack = runtimes.of(settings)
    accounts.settle(stack)
    stack.up()
    console.answer(settings.url)
