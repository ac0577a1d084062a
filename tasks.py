"""Every command that a user can type. This file declares; `packages/djup` acts."""

from invoke.collection import Collection
from invoke.context import Context

from djup.checkout import env
from djup.cli.program import remainder, task
from djup.stack import runtimes
from djup.stack.stack import Stack
from djup.terminal import console

STACK, DJANGO, DATA = "The stack", "Django", "The data"
PRODUCTION, CODE = "Production", "The code"
TARGET = {
    "context": "a Docker context, or an address such as ssh://user@server; else DEPLOY_TO of .env",
    "local": "the trial on this machine",
}


def stack() -> Stack:
    """The services of this checkout, as its `.env` has them."""
    return runtimes.of(env.load())


@task(
    group=STACK,
    help={
        "runtime": "switch to docker or to embedded, and write it into .env",
        "port": "move the page to this port, and write it into .env",
    },
)
def up(c: Context, runtime: str = "", port: str = "") -> None:
    """Build what is stale, start, wait, migrate, print the URL.

    It ends when every service is healthy; again on a stack that is up, it changes nothing.
    """
    from djup.stack import up

    up.run(runtime, port)


@task(group=STACK)
def down(c: Context) -> None:
    """Stop; all data stays."""
    stack().down()


@task(group=STACK, help={"json": "for scripts"})
def status(c: Context, json: bool = False) -> None:
    """What runs, in which state, and at which URL."""
    from djup.data import snapshots
    from djup.stack.status import as_text

    here = stack()
    found = snapshots.with_fitting(here, here.status())
    console.answer(console.as_json(found) if json else console.as_typed(as_text(found)))


@task(
    group=STACK,
    help={"fix": "apply the safe fixes, naming each one first", "json": "for scripts"},
)
def doctor(c: Context, fix: bool = False, json: bool = False) -> None:
    """What is wrong with this checkout, and what to type.

    Every check that applies, whatever is up or down; exit code 1 if anything is wrong.
    """
    from djup.doctor import doctor as checks

    checks.run(fix, json)


@task(group=STACK, help={"code": "such as DB02, as an error shows it"})
def explain(c: Context, code: str) -> None:
    """What an error's code means, from docs/problems.md.

    inv explain DB02
    """
    from djup.doctor import explain as page

    page.run(code)


@task(
    group=STACK,
    help={
        "service": "web or db alone",
        "follow": "go on with what comes; Ctrl-C ends it",
        "lines": "how many lines of the past",
    },
)
def logs(c: Context, service: str = "", follow: bool = False, lines: str = "100") -> None:
    """What the services wrote."""
    from djup.terminal.options import number

    stack().logs(service, follow, number("--lines", lines, "100"))


@task(name="open", group=STACK)
def open_page(c: Context) -> None:
    """Open the page in the browser."""
    from djup.host import browser

    browser.show(env.load().url)


@task(group=STACK, help={"cache": "--no-cache builds every layer anew"})
def build(c: Context, cache: bool = True) -> None:
    """Build the web image.

    `up` does it by itself when the Dockerfile or the requirements have changed.
    """
    stack().build(cache)


@task(group=STACK, rest=True)
def compose(c: Context) -> None:
    """Docker Compose itself, with what stands after --.

    inv compose -- config
    """
    stack().compose(remainder())


@task(group=DJANGO, rest=True)
def migrate(c: Context) -> None:
    """Apply migrations.

    inv migrate
    inv migrate -- notes zero
    """
    from djup.stack import migrate

    migrate.by_hand(stack(), remainder())


@task(group=DJANGO, rest=True)
def makemigrations(c: Context) -> None:
    """Write the migrations that the models ask for.

    inv makemigrations
    inv makemigrations -- notes --name add_title
    """
    stack().manage(["makemigrations", *remainder()])


@task(group=DJANGO, rest=True)
def manage(c: Context) -> None:
    """Django's manage.py, with what stands after --.

    inv manage -- createsuperuser
    """
    stack().manage(remainder())


@task(group=DJANGO, rest=True, help={"service": "web (as it is without this flag) or db"})
def shell(c: Context, service: str = "web") -> None:
    """A shell (ash, bash or sh) in the web container.

    inv shell
    inv shell --service db
    inv shell -- -c 'ls -l'
    """
    stack().shell(service, remainder())


@task(group=DATA, rest=True)
def psql(c: Context) -> None:
    """psql on the project's database.

    inv psql
    inv psql -- -c 'select 1'
    inv psql < file.sql
    """
    stack().psql(remainder())


@task(name="password", group=DATA, help={"new": "a new random one, for .env and the database"})
def db_password(c: Context, new: bool = False) -> None:
    """Give the database the password from .env; all data stay.

    For when .env was edited, or made anew, after the database. With --new both get another one.
    """
    from djup.stack import accounts

    here = stack()
    if new:
        here = accounts.new_password(here)
    else:
        accounts.set_password(here)
    here.up()
    console.answer(here.settings.url)


@task(name="create", group=DATA)
def db_create(c: Context) -> None:
    """Make the user and the database that .env names.

    As far as they are not there; all data stay.
    """
    from djup.stack import accounts

    here = stack()
    accounts.create(here)
    here.up()
    console.answer(here.settings.url)


@task(name="seed", group=DATA, help={"admin": "make the superuser that .env names as well"})
def db_seed(c: Context, admin: bool = False) -> None:
    """Load the example data of each app; your rows stay.

    From fixtures/seed.json of the apps in project/, as far as it is not there yet. --admin takes
    ADMIN_USER, ADMIN_PASSWORD and ADMIN_EMAIL of .env; a user of that name stays as it is.
    """
    from djup.data import seed

    seed.run(stack(), admin)


@task(group=DATA, help={"json": "for scripts"})
def volumes(c: Context, json: bool = False) -> None:
    """This project's volumes: name, size, age, mounted by."""
    from djup.host.volumes import as_text

    here = stack()
    found = here.volumes()
    console.answer(console.as_json(found) if json else as_text(found, here.settings.address))


@task(
    name="backup",
    group=DATA,
    help={"to": "write it to this file", "verify": "restore it for a trial, and compare"},
)
def db_backup(c: Context, to: str = "", verify: bool = False) -> None:
    """Dump the database into backups/.

    inv db.backup --verify
    inv db.backup --to /media/stick/shop.dump
    """
    from djup.data import backup

    backup.run(stack(), to, verify)


@task(
    name="backups",
    group=DATA,
    help={
        "keep": "remove all but so many newest of each database, and its newest verified one",
        "json": "for scripts",
    },
)
def db_backups(c: Context, keep: str = "", json: bool = False) -> None:
    """The backups: name, age, size, verified or not."""
    from djup.data import prune

    prune.run(env.load(), keep, json)


@task(
    name="restore",
    group=DATA,
    positional=["name"],
    help={"name": "a backup, a snapshot or a file"},
)
def db_restore(c: Context, name: str) -> None:
    """Put a backup, a snapshot or a dump in place.

    The database as it was is kept; inv undo brings it back.

    inv db.restore main  (the snapshot named after the git branch main)
    inv db.restore dump.sql.gz
    """
    from djup.data import restore

    restore.run(stack(), name)


@task(name="snapshot", group=DATA, help={"name": "its name; as it is without, the git branch"})
def db_snapshot(c: Context, name: str = "") -> None:
    """Copy the database within its server, in a moment."""
    from djup.data import snapshots

    snapshots.make(stack(), name)


@task(
    name="snapshots", group=DATA, help={"remove": "drop this one for good", "json": "for scripts"}
)
def db_snapshots(c: Context, remove: str = "", json: bool = False) -> None:
    """The snapshots, and the databases put aside."""
    from djup.data import snapshots

    snapshots.run(stack(), remove, json)


@task(
    name="upgrade",
    group=DATA,
    help={
        "to": "this major version; as it is without, that of POSTGRES_IMAGE in .env",
        "finish": "remove what the upgrades have left: after that no undo goes back",
        "yes": "with --finish: do not ask for the project's name",
    },
)
def db_upgrade(c: Context, to: str = "", finish: bool = False, yes: bool = False) -> None:
    """Move the data to another version of PostgreSQL.

    The data as they were are kept; inv undo goes back to them until --finish.

    inv db.upgrade --to 18
    inv db.upgrade --finish
    """
    from djup.data import upgrade

    upgrade.run(env.load(), to, finish, yes)


@task(group=DATA)
def undo(c: Context) -> None:
    """Bring back what the last act took away.

    That of a nuke, db.restore, db.upgrade or undo; so a second undo goes forward again.
    """
    from djup.data import undo as acts

    acts.run(env.load())


@task(
    group=DATA,
    help={
        "yes": "do not ask for the project's name",
        "backup": "--no-backup takes none; then nothing brings the data back",
    },
)
def nuke(c: Context, yes: bool = False, backup: bool = True) -> None:
    """Remove containers, volumes and images; asks first.

    It takes a backup, lists what goes, this project's alone, and asks for the project's name.
    inv undo brings the data back.
    """
    from djup.data import nuke

    nuke.run(stack(), yes, backup)


@task(
    name="now",
    default=True,
    group=PRODUCTION,
    help={
        **TARGET,
        "plan": "show what would change, and do nothing",
        "allow_downtime": "also if it interrupts the service",
        "dirty": "with changes that are in no commit",
        "backup": "--no-backup takes none before",
        "check": "--no-check does not ask the pages of the new version first",
        "yes": "make the engine a Swarm of one node if it is in none",
    },
)
def deploy(
    c: Context,
    context: str = "",
    local: bool = False,
    plan: bool = False,
    allow_downtime: bool = False,
    dirty: bool = False,
    backup: bool = True,
    check: bool = True,
    yes: bool = False,
) -> None:
    """Deploy the commit to a Docker Swarm.

    It builds, backs up, migrates, rolls, and goes back to the release before if anything fails.

    inv deploy --plan
    inv deploy --local
    """
    from djup.deploy import rollout

    asked = rollout.Asked(context, local, plan, allow_downtime, dirty, backup, check, yes)
    rollout.run(env.load(), asked)


@task(name="status", group=PRODUCTION, help={**TARGET, "json": "for scripts"})
def deploy_status(c: Context, context: str = "", local: bool = False, json: bool = False) -> None:
    """What is deployed, and what runs where."""
    from djup.deploy import deployed

    deployed.status(env.load(), context, local=local, as_json=json)


@task(
    name="rollback",
    group=PRODUCTION,
    help={**TARGET, "allow_downtime": "also if it interrupts the service"},
)
def deploy_rollback(
    c: Context, context: str = "", local: bool = False, allow_downtime: bool = False
) -> None:
    """Go back to the release before."""
    from djup.deploy import rollout

    rollout.back(env.load(), context, local=local, allow_downtime=allow_downtime)


@task(
    name="logs",
    group=PRODUCTION,
    help={
        **TARGET,
        "service": "web (as it is without this flag), proxy or db",
        "follow": "go on with what comes; Ctrl-C ends it",
        "lines": "how many lines of the past, the latest of all containers together",
        "ended": "also of containers that have ended, such as a former release's",
    },
)
def deploy_logs(
    c: Context,
    context: str = "",
    local: bool = False,
    service: str = "web",
    follow: bool = False,
    lines: str = "100",
    ended: bool = False,
) -> None:
    """What a service wrote, on whatever node."""
    from djup.deploy import deployed
    from djup.terminal.options import number

    count = number("--lines", lines, "100")
    deployed.logs(
        env.load(),
        context,
        local=local,
        service=service,
        lines=count,
        ended=ended,
        follow=follow,
    )


@task(name="psql", group=PRODUCTION, rest=True, help=TARGET)
def deploy_psql(c: Context, context: str = "", local: bool = False) -> None:
    """psql on the deployed database.

    inv deploy.psql -- -c 'select 1'
    """
    from djup.deploy import deployed

    deployed.psql(env.load(), context, local=local, arguments=remainder())


@task(name="manage", group=PRODUCTION, rest=True, help=TARGET)
def deploy_manage(c: Context, context: str = "", local: bool = False) -> None:
    """manage.py of the deployed version.

    inv deploy.manage -- createsuperuser
    """
    from djup.deploy import deployed

    deployed.manage(env.load(), context, local=local, arguments=remainder())


@task(name="backup", group=PRODUCTION, help=TARGET)
def deploy_backup(c: Context, context: str = "", local: bool = False) -> None:
    """Dump the deployed database into backups/ of this folder."""
    from djup.deploy import deployed

    deployed.backup(env.load(), context, local=local)


@task(
    name="restore",
    group=PRODUCTION,
    positional=["name"],
    help={
        **TARGET,
        "name": "a backup, a dump, or what a restore has put aside",
        "yes": "do not ask for the stack's name",
    },
)
def deploy_restore(
    c: Context, name: str, context: str = "", local: bool = False, yes: bool = False
) -> None:
    """Put a backup in place of the deployed database.

    It goes into a new database, which then takes the other's place; that one is kept.
    """
    from djup.deploy import deployed

    deployed.restore(env.load(), context, local=local, which=name, yes=yes)


@task(
    name="down",
    group=PRODUCTION,
    help={**TARGET, "yes": "do not ask for the stack's name (a trial is not asked for)"},
)
def deploy_down(c: Context, context: str = "", local: bool = False, yes: bool = False) -> None:
    """Remove the deployed services; all data stay.

    The history of releases goes as well, so there is none for deploy.rollback.
    """
    from djup.deploy import deployed

    deployed.down(env.load(), context, local=local, yes=yes)


@task(
    name="test",
    group=CODE,
    rest=True,
    help={
        "suite": "one alone, such as unit or app; README.md has the list",
        "quick": "those that need no stack: 3 minutes",
        "strict": "a suite that cannot run here is a failure",
        "retry": "run failed tests once more at the end, alone; their suites are named",
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
    from djup.code import suites

    suites.run(suite, strict, remainder(), quick, retry)


@task(group=CODE, help={"fix": "let ruff fix what it can"})
def lint(c: Context, fix: bool = False) -> None:
    """Format, lint, types, missing migrations."""
    from djup.code import linters

    linters.run(fix)


@task(group=CODE, help={"upgrade": "take the newest versions that the .in files allow"})
def lock(c: Context, upgrade: bool = False) -> None:
    """Compile requirements/*.in to locks with hashes."""
    from djup.code import locks

    locks.compile_all(upgrade)


namespace = Collection(
    up, down, status, doctor, explain, logs, open_page, build, compose,
    migrate, makemigrations, manage, shell,
    psql, volumes, nuke, undo,
    run_tests, lint, lock,
    Collection(
        "db",
        db_backup, db_backups, db_restore, db_snapshot, db_snapshots,
        db_upgrade, db_password, db_create, db_seed,
    ),
    Collection(
        "deploy",
        deploy, deploy_status, deploy_rollback, deploy_logs, deploy_psql, deploy_manage,
        deploy_backup, deploy_restore, deploy_down,
    ),
)  # fmt: skip
