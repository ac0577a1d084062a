"""The images that `.env` names: how another version of one is called, whether it runs here."""

import re

from djup.docker import engine, resources
from djup.problems import Problem, problem
from djup.settings.settings import Settings


def of_major(image: str, major: str, wanted: str) -> str:
    """The image of another major version: of `postgres:17.6-alpine` that of 18 is
    `postgres:18-alpine`; '' where the name does not have the version in it."""
    versions = list(re.finditer(rf"(?<![\d.]){major}(?:\.\d+)?(?!\d)", image))
    return (
        f"{image[: versions[-1].start()]}{wanted}{image[versions[-1].end() :]}" if versions else ""
    )


def of_architecture(key: str, settings: Settings) -> Problem | None:
    """Whether the image of `key` is built for another machine than the engine's."""
    image = settings.values[key]
    built_for = resources.inspect(image).get(image, {}).get("Architecture", "")
    machine = engine.ask("version", "--format", "{{.Server.Arch}}").strip()
    if built_for in ("", machine):
        return None
    return problem("IMG03", key=key, image=image, built_for=built_for, machine=machine)
