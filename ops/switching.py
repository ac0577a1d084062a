"""From one runtime to the other: `inv up --runtime NAME`."""

from ops import console, docker, env, newenv, process, runtimes
from ops.env import Settings


def switch(settings: Settings, name: str) -> Settings:
    """Stop the stack where it runs now, and write the other runtime into `.env`."""
    env.check_runtime(name)
    if name == settings.runtime:
        return settings
    answers = docker.engine_answers()
    if name == "docker" and not answers:
        raise docker.diagnose("docker version")
    if name == "docker":
        docker.refuse_unfit()
    if not settings.in_containers or answers:
        runtimes.of(settings).down()
    if process.mode.dry:
        console.say(f"RUNTIME in .env would be {name}")
        return settings.with_values({"RUNTIME": name})
    newenv.write_values({"RUNTIME": name})
    console.say(
        f"RUNTIME in .env is now {name}. The data of {settings.runtime} stay where they are, "
        f"unseen from {name}; this goes back to them: inv up --runtime {settings.runtime}"
    )
    return env.load()
