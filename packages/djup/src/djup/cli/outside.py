"""The `djup` command: what one runs where no project is yet, as in `uvx --from WHEEL djup new`."""

from invoke.collection import Collection
from invoke.context import Context

from djup import __version__
from djup.cli.program import Tasks, task
from djup.cli.tasks import TOOLKIT, every_task


@task(group=TOOLKIT, positional=["folder"], help={"folder": "where it shall be: a new folder"})
def new(c: Context, folder: str) -> None:
    """Write a new project with these tasks.

    inv new ../shop
    """
    from djup.cli import in_short
    from djup.project import new as project

    project.run(folder, in_short.as_markdown(every_task()))


def main() -> None:
    """Run the tasks that the command line names."""
    namespace = Collection(new)
    new.typed_as = "new"
    Tasks(namespace=namespace, binary="djup", binary_names=["djup"], version=__version__).run()
