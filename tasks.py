"""The tasks of this repository: djup's, and those by which djup itself leaves it."""

from pathlib import Path

from djup.cli.outside import new
from djup.cli.program import remainder
from djup.cli.tasks import CODE, TOOLKIT
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


@task(
    name="test",
    group=CODE,
    rest=True,
    help={
        "suite": "only this suite, such as unit or app; docs/how-to/test-djup.md lists them",
        "quick": "only the suites that need no stack: 3 minutes",
        "strict": "fail if a suite cannot run here",
        "retry": "run failed tests again at the end, alone, and name their suites",
    },
)
def run_tests(
    c: Context, suite: str = "", quick: bool = False, strict: bool = False, retry: bool = False
) -> None:
    """Run every test that this machine can run.

    inv test
    inv test --quick
    inv test --suite app
    inv test --suite app -- notes
    """
    from tests import suites

    suites.run(suite, strict, remainder(), quick, retry)


@task(
    group=TOOLKIT,
    help={
        "write": "write the pages that are made from the sources, and build nothing",
        "serve": "serve the site on 127.0.0.1, and build it again after each edit",
        "port": "with --serve: the port",
    },
)
def docs(c: Context, write: bool = False, serve: bool = False, port: str = "8080") -> None:
    """Build the manual as a site, into dist/docs/.

    Fails if a link leads nowhere.

    inv docs
    inv docs --serve
    inv docs --write
    """
    from djup.terminal import console, options
    from docs.tools import reference, website

    if write:
        for path in reference.write(namespace):
            console.say(f"writing {path}")
    elif serve:
        website.serve(options.port(port))
    else:
        website.build()


namespace = collect(new, run_tests, docs, Collection("toolkit", build_wheels))
