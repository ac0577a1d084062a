"""The tasks of this repository: djup's, and those by which djup itself leaves it."""

from pathlib import Path

from djup.cli.outside import TOOLKIT, new
from djup.tasks import Collection, Context, collect, task


@task(name="build", group=TOOLKIT, help={"folder": "where the wheels are written"})
def build_wheels(c: Context, folder: str = "dist") -> None:
    """Build the wheels of both packages.

    The same commit gives the same bytes.
    """
    from djup.project import wheels
    from djup.terminal import console

    for wheel in wheels.build(Path(folder).resolve()):
        console.answer(f"{wheels.sha256(wheel)}  {folder}/{wheel.name}\n")


namespace = collect(new, Collection("toolkit", build_wheels))
