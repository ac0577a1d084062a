"""From one runtime to the other: `inv up --runtime NAME`."""

from djup.checkout import env, env_file
from djup.docker import engine
from djup.settings.settings import Settings, check_runtime
from djup.stack import runtimes
from djup.terminal import console
from djup.terminal.task import this_task


def switch(settings: Settings, name: str) -> Settings:
    """Stop the stack where it runs now, and write the other runtime into `.env`."""
    check_runtime(name)
    if name == settings.runtime:
        return settings
    if name == "docker":
        if not engine.answers():
            raise engine.diagnose("docker version")
        engine.refuse_unfit()
    here = runtimes.stack_of(settings)
    if here.can_be_stopped():
        here.down()
    if this_task.dry:
        console.say(f"RUNTIME in .env would be {name}")
        return settings.with_values({"RUNTIME": name})
    env_file.write_values({"RUNTIME": name})
    console.say(
        f"RUNTIME in .env is now {name}. The data of {settings.runtime} stay, but {name} "
        f"cannot see them. To go back to them: inv up --runtime {settings.runtime}"
    )
    return env.load()
