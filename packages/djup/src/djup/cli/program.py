"""Adapt Invoke: tasks obey --dry, an error is one sentence, and the list of tasks has groups."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.program import Program
from invoke.tasks import Task
from invoke.tasks import task as invoke_task
from invoke.util import helpline

from djup import __version__
from djup.host import ownership
from djup.host.packages import InstallFailed
from djup.host.process import ChildFailed, Interrupted
from djup.problems import Problem, problem
from djup.terminal import console
from djup.terminal.task import task as running


class Command(Task[Callable[..., None]]):
    """A task in a group of `inv --list`; with `rest` it accepts arguments after `--`."""

    def __init__(
        self, body: Callable[..., None], group: str = "", rest: bool = False, **options: Any
    ) -> None:
        super().__init__(body, **options)
        self.group, self.rest = group, rest
        self.typed_as = ""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        flags = args[0].config.run
        trial = "local" in self.help
        with running(self.typed_as, dry=flags.dry, echo=flags.echo, has_trial=trial):
            self._run(*args, **kwargs)

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Give its parameters; the help stays, which Invoke would take out of the task."""
        told = dict(self.help)
        try:
            return super().get_arguments(ignore_unknown_help)
        finally:
            self.help = told

    def arg_opts(self, name: str, default: str, taken_names: set[str]) -> dict[str, Any]:
        """Give an argument its names; -h is never one of them: it asks for help."""
        return super().arg_opts(name, default, {*taken_names, "h"})

    def _run(self, *args: Any, **kwargs: Any) -> None:
        try:
            if remainder() and not self.rest:
                raise problem("TASK01", task=self.typed_as)
            super().__call__(*args, **kwargs)
        except Problem as caught:
            raise _end_with(caught) from caught
        except InstallFailed as failed:
            raise _end_with(
                problem("PKG01", failed.evidence, what=failed.what, fix=failed.fix)
            ) from failed
        except BrokenPipeError:
            raise  # djup.cli.entry ends quietly
        except OSError as error:
            raise _end_with(ownership.problem_of(error)) from error
        except Interrupted as ended:
            raise Exit(self._interrupted, code=ended.code) from ended
        except ChildFailed as failed:
            raise Exit(code=failed.code) from failed
        except KeyboardInterrupt:
            raise Exit(self._interrupted, code=130) from None
        finally:
            if os.geteuid() == 0:
                ownership.give_back()

    @property
    def _interrupted(self) -> str:
        # By its name: the task may be a step of another one, which is done.
        return f"{self.typed_as} was interrupted; you can run it again"


def _end_with(cause: Problem) -> Exit:
    return Exit(console.as_typed(str(cause)), code=1)


UNKNOWN = r"No idea what '(.+)' is!"
ESCAPES = ("manage", "compose")  # nobody means these without a command of their own
AFTER_DASHES = "Arguments for the command itself go after --, as in"
task = partial(invoke_task, klass=Command)


def remainder() -> list[str]:
    """Return the arguments after the first `--` unchanged; Invoke's remainder loses the quoting."""
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []


class Tasks(Program):
    """Invoke's program with the task list in groups, and as the answer to a bare `inv`."""

    def create_config(self) -> None:
        super().create_config()
        # Invoke would leave out, without a word, the second of two equal ones: inv down up down.
        self.config.tasks.dedupe = False

    def print_version(self) -> None:
        from importlib.metadata import version

        print(f"djup {__version__}, Invoke {version('invoke')}")

    def normalize_argv(self, argv: list[str] | None) -> None:
        """Let -h and --help after a task explain it, also where an argument is required."""
        super().normalize_argv(argv)
        known = self.namespace.task_names if self.namespace else {}
        names = {name for full, aliases in known.items() for name in (full, *aliases)}
        self.argv = _help_first(self.argv, names)

    def print_task_help(self, name: str) -> None:
        """Print the help under the name that is typed: a collection's default has a longer one."""
        super().print_task_help(self.collection[name].typed_as)

    def parse_core(self, argv: list[str] | None) -> None:
        before = sys.dont_write_bytecode
        super().parse_core(argv)
        # Invoke turns bytecode off: what a task loads would be compiled again each time.
        sys.dont_write_bytecode = before

    def parse_cleanup(self) -> None:
        """Complete the values of --service and of --env; Invoke knows flags alone."""
        typed = self.core.remainder.split(" ")
        if self.args.complete.value and (found := _values(typed[-2:])):
            print("\n".join(found))
            raise Exit
        super().parse_cleanup()

    def parse_tasks(self) -> None:
        try:
            super().parse_tasks()
        except ParseError as error:
            said = _of_arguments(error, self.binary) or self._of_word(error)
            raise ParseError(console.as_typed(said), error.context) from error
        first, *others = [context.name for context in self.tasks] or [""]
        if first in ESCAPES and others:
            said = f"{first} and {others[0]} would be two separate tasks here.\n"
            said += f"{AFTER_DASHES}: inv {first} -- {others[0]}"
            raise ParseError(console.as_typed(said))

    @property
    def _hint(self) -> str:
        return f"All tasks: {self.binary} --list    One task: {self.binary} --help TASK"

    def _of_word(self, error: ParseError) -> str:
        """Rewrite Invoke's message about an unknown task or flag, and say what to run."""
        found = re.search(UNKNOWN, str(error))
        if not found:
            return f"{error}\n{self._hint}"
        return f"Unknown task or flag: {found[1]}.{self._meant(error, found[1])}"

    def _meant(self, error: ParseError, unknown: str) -> str:
        """Suggest what is similar to the unknown word, or where it may belong."""
        from difflib import get_close_matches

        context = error.context
        flags = [*context.flags, *context.inverse_flags] if context else []
        names = [*flags, *self.scoped_collection.task_names]
        close = get_close_matches(unknown, names, n=1, cutoff=0.7)
        said = f" Did you mean {close[0]}?" if close else ""
        name = (context.name if context else "") or ""
        if name and self._has_rest(name):
            said += f"\n{AFTER_DASHES}: inv {name} -- {_from(unknown)}"
        return f"{said}\n{self._hint}"

    def _has_rest(self, name: str) -> bool:
        task = self.scoped_collection[name]
        return isinstance(task, Command) and task.rest

    def no_tasks_given(self) -> NoReturn:
        self.list_tasks()
        raise Exit

    def list_flat(self) -> None:
        groups: dict[str, list[tuple[str, str | None]]] = {}
        for full, aliases in self.scoped_collection.task_names.items():
            name = min((full, *aliases), key=len)  # a collection's default goes by its name
            task = self.scoped_collection[name]
            groups.setdefault(task.group, []).append((name, helpline(task)))
        for group, pairs in groups.items():
            print(f"{group}\n")
            self.print_columns(pairs)
        explains, shows = f"{self.binary} --help TASK", f"{self.binary} --dry TASK"
        print(f"{explains} explains a task; {shows} only shows its commands.")


def _help_first(argv: list[str], tasks: set[str]) -> list[str]:
    """Rewrite `inv TASK … -h` as `inv --help TASK`."""
    words = argv[: argv.index("--")] if "--" in argv else argv
    asked = next((n for n, word in enumerate(words) if word in ("-h", "--help")), 0)
    named = [word for word in words[1:asked] if word in tasks]
    return [argv[0], "--help", named[-1]] if named else argv


def _values(typed: Sequence[str]) -> Sequence[str]:
    """What may follow the flag that was typed last, as far as this checkout knows."""
    if "--service" in typed:
        from djup.stack import services

        return services.last_known()
    if "--env" in typed:
        from djup.checkout import env

        return env.last_known_stages()
    return ()


def _from(word: str) -> str:
    """Give the command line from this word on, as a shell would take it."""
    import shlex

    typed = [one for one in sys.argv if one != "--"]
    # Invoke takes --flag=value and -fvalue apart.
    starts = (word, f"{word}=") if word.startswith("--") else (word,)
    place = next((n for n, one in enumerate(typed) if one == word), len(typed))
    if word.startswith("-"):
        place = next((n for n, one in enumerate(typed) if one.startswith(starts)), place)
    return shlex.join(typed[place:] or [word])


def _of_arguments(error: ParseError, program: str) -> str:
    """Say which argument lacks a value, and what to run; '' for another error."""
    task = (error.context and error.context.name) or ""
    if flag := re.match(r"Flag <Argument: (\w+).* needed value", str(error)):
        what = f"--{flag[1].replace('_', '-')}"
        said, typed = f"{what} needs a value", f"{what} VALUE"
    elif error.context and "required positional" in str(error):
        typed = " ".join(
            str(argument.name).upper() for argument in error.context.missing_positional_args
        )
        said = f"{task} needs a {typed}"
    else:
        return ""
    return f"{said}. Run: {program} {task} {typed}\nAll its flags: {program} --help {task}"


def run(namespace: Collection) -> None:
    """Run the tasks of `namespace` that the command line names."""
    sys.argv[0] = "inv"
    for full, aliases in namespace.task_names.items():
        name = min((full, *aliases), key=len)  # a collection's default goes by its name
        namespace[name].typed_as = name
    Tasks(namespace=namespace, binary="inv", binary_names=["inv"]).run()
