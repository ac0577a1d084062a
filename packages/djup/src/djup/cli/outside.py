"""The `djup` command, for a folder without the tasks: `uvx --from WHEEL djup new`."""

from collections.abc import Sequence

from invoke.collection import Collection
from invoke.context import Context

from djup import __version__
from djup.cli.program import Tasks, task
from djup.cli.tasks import TOOLKIT, every_task


@task(group=TOOLKIT, positional=["folder"], help={"folder": "a new folder, or an empty one"})
def new(c: Context, folder: str) -> None:
    """Create a new project with these tasks.

    inv new ../shop
    """
    from djup.cli import in_short
    from djup.project import new as project

    project.run(folder, in_short.as_markdown(every_task()))


@task(
    group=TOOLKIT,
    iterable=["requirements"],
    help={
        "project": "the folder of manage.py, if there are several",
        "settings": "the settings module of development",
        "production-settings": "the settings module of production",
        "requirements": "a requirements file; can be given several times",
    },
)
def adopt(
    c: Context,
    project: str = "",
    settings: str = "",
    production_settings: str = "",
    requirements: Sequence[str] | None = None,
) -> None:
    """Add these tasks to the Django project in this folder, in one commit.

    djup adopt
    djup adopt --settings shop.settings.dev --production-settings shop.settings.live
    """
    from djup.project import adopt as project_of_theirs
    from djup.project.survey import Choices

    chosen = Choices(project, settings, production_settings, tuple(requirements or ()))
    project_of_theirs.run(chosen)


def main() -> None:
    """Run the tasks that the command line names."""
    namespace = Collection(new, adopt)
    new.__doc__ = str(new.__doc__).replace("inv new ../", "djup new ")
    new.typed_as, adopt.typed_as = "new", "adopt"
    Tasks(namespace=namespace, binary="djup", binary_names=["djup"], version=__version__).run()
