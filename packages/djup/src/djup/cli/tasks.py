"""Declare every task that a user can run; the other packages do the work."""

from invoke.collection import Collection
from invoke.context import Context

from djup.checkout import env
from djup.cli.program import remainder, task
from djup.settings import stages
from djup.settings.settings import Settings
from djup.stack import runtimes
from djup.stack.stack import Stack
from djup.terminal import console

STACK, DJANGO, DATA = "The stack", "Django", "The data"
PRODUCTION, CODE, TOOLKIT = "Production", "The code", "djup itself"
TARGET = {
    "context": "a Docker context, or an address: ssh://user@server (default: DEPLOY_TO in .env)",
    "local": "the trial deploy on this machine",
    "env": "production (the default), or a stage that STAGES in .env names",
}


def stack() -> Stack:
    """The services of this checkout, as its `.env` has them."""
    return runtimes.stack_of(env.load())


def deployed(stage: str, *, local: bool = False) -> Settings:
    """The settings of production, or of the stage that `--env` names."""
    from djup.deploy import stage as stage_of

    return stage_of.chosen(env.load(), stage, local=local)


@task(
    group=STACK,
    help={
        "runtime": "switch to docker or embedded (sets RUNTIME in .env)",
        "port": "serve the page on this port (sets WEB_PORT in .env)",
        "debug": "let an editor attach to the web, until an inv up without this",
    },
)
def up(c: Context, runtime: str = "", port: str = "", debug: bool = False) -> None:
    """Build, start, migrate, and print the URL.

    Returns when every service is healthy. If everything is up and unchanged, it changes nothing.
    """
    from djup.stack import up

    up.run(runtime, port, debug)


@task(group=STACK)
def down(c: Context) -> None:
    """Stop the stack; all data stay."""
    stack().down()


@task(group=STACK, help={"json": "print JSON, for scripts"})
def status(c: Context, json: bool = False) -> None:
    """Show what runs, in which state, and at which URL.

    --json prints an object: project, runtime, url, ready, reason, unapplied, unknown, fitting,
    env_missing, edited, services, volumes, database, unmade, mail.
    """
    from djup.data import snapshots
    from djup.stack.status import as_text

    here = stack()
    found = snapshots.with_fitting(here, here.status())
    console.answer(console.as_json(found) if json else console.as_typed(as_text(found)))


@task(
    group=STACK,
    help={"fix": "apply the safe fixes, naming each one first", "json": "print JSON, for scripts"},
)
def doctor(c: Context, fix: bool = False, json: bool = False) -> None:
    """Check this checkout, and show how to fix what is wrong.

    Runs every check that applies, whether the stack is up or down. Exits with 1 if one fails.

    --json prints a list of objects: check, found, fine, known, code, problem, fix, evidence,
    fixable.
    """
    from djup.doctor import doctor as checks

    checks.run(fix, json)


@task(group=STACK, help={"code": "the code of an error, such as DB02"})
def explain(c: Context, code: str) -> None:
    """Explain the code of an error, and how to fix it.

    inv explain DB02
    """
    from djup.doctor import explain as page

    page.run(code)


@task(group=STACK, help={"json": "print JSON, for scripts"})
def services(c: Context, json: bool = False) -> None:
    """List the services, and those that djup can add.

    --json prints a list of objects: service, on, state, development, production, purpose.
    """
    from djup.stack import service_list

    service_list.show(stack(), json)


@task(
    name="add", group=STACK, positional=["name"], help={"name": "worker, schedule, mail, or yours"}
)
def service_add(c: Context, name: str) -> None:
    """Add a service, in pyproject.toml.

    The name of your own service is that of its file, compose/NAME.yaml. The next up starts it.

    inv service.add worker
    """
    from djup.stack import service_list

    service_list.add(name)


@task(name="remove", group=STACK, positional=["name"], help={"name": "a service that was added"})
def service_remove(c: Context, name: str) -> None:
    """Remove a service; its volumes stay.

    The next up ends it here, and the next deploy in production.
    """
    from djup.stack import service_list

    service_list.remove(name)


@task(
    group=STACK,
    help={
        "service": "only this service, such as web",
        "follow": "keep printing new lines until Ctrl-C",
        "lines": "how many past lines to show",
    },
)
def logs(c: Context, service: str = "", follow: bool = False, lines: str = "100") -> None:
    """Show the logs of the services."""
    from djup.terminal.options import number

    stack().logs(service, follow, number("--lines", lines, "100"))


@task(group=STACK, help={"show": "print the mail with this number"})
def mail(c: Context, show: str = "") -> None:
    """List the mails that development sent, or say where they are.

    inv mail
    inv mail --show 3
    """
    from djup.stack import mail as mails

    mails.run(stack(), show)


@task(name="open", group=STACK)
def open_page(c: Context) -> None:
    """Open the page in the browser."""
    from djup.host import browser

    browser.show(env.load().url)


@task(group=STACK, help={"cache": "--no-cache builds every layer again"})
def build(c: Context, cache: bool = True) -> None:
    """Build the web image.

    `inv up` does this itself when the Dockerfile or the requirements have changed.
    """
    stack().build(cache)


@task(group=STACK, rest=True)
def compose(c: Context) -> None:
    """Run docker compose.

    inv compose -- config
    """
    stack().compose(remainder())


@task(group=DJANGO, help={"json": "print JSON, for scripts"})
def schedule(c: Context, json: bool = False) -> None:
    """List what runs at fixed times, and when.

    Shows each entry of schedule.py in the apps: the last run, how it ended, and the next run. In
    production: inv deploy.manage -- scheduled

    --json prints a list of objects: name, times, last_run, outcome, error, seconds, next_run.
    """
    from djup.stack import service_list

    stack().manage(["scheduled", *(["--json"] if json else [])])
    service_list.tell_if_off("schedule")


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
    """Write migrations for changed models.

    inv makemigrations
    inv makemigrations -- notes --name add_title
    """
    stack().manage(["makemigrations", *remainder()])


@task(group=DJANGO, rest=True)
def manage(c: Context) -> None:
    """Run manage.py.

    inv manage -- createsuperuser
    """
    stack().manage(remainder())


@task(group=DJANGO, rest=True, help={"service": "a service (default: web)"})
def shell(c: Context, service: str = "web") -> None:
    """Open a shell (ash, bash or sh) in a service.

    inv shell
    inv shell --service db
    inv shell -- -c 'ls -l'
    """
    stack().shell(service, remainder())


@task(group=DATA, rest=True)
def psql(c: Context) -> None:
    """Run psql on the project's database.

    inv psql
    inv psql -- -c 'select 1'
    inv psql < file.sql
    """
    stack().psql(remainder())


@task(
    name="password",
    group=DATA,
    help={"new": "create a new random password, in .env and in the database"},
)
def db_password(c: Context, new: bool = False) -> None:
    """Set the password in the database to the one in .env.

    Run it after .env was edited or created again. All data stay.
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
    """Create the user and the database that .env names.

    Whatever exists already stays, with all data.
    """
    from djup.stack import accounts

    here = stack()
    accounts.create(here)
    here.up()
    console.answer(here.settings.url)


@task(name="seed", group=DATA, help={"admin": "also create the superuser that .env names"})
def db_seed(c: Context, admin: bool = False) -> None:
    """Load the example data of each app; your rows stay.

    Loads the rows of fixtures/seed.json of each app in project/ that do not exist yet. --admin uses
    ADMIN_USER, ADMIN_PASSWORD and ADMIN_EMAIL in .env; an existing user is not changed.
    """
    from djup.data import seed

    seed.run(stack(), admin)


@task(group=DATA, help={"json": "print JSON, for scripts"})
def volumes(c: Context, json: bool = False) -> None:
    """List this project's volumes: name, size, age, mounted by.

    --json prints a list of objects: name, size, created, mounted_by.
    """
    from djup.host.volumes import as_text

    here = stack()
    found = here.volumes()
    console.answer(console.as_json(found) if json else as_text(found, here.settings.address))


@task(
    name="backup",
    group=DATA,
    help={
        "to": "write the dump to this file",
        "verify": "restore it as a test, and compare",
        "files": "leave out the uploads",
    },
)
def db_backup(c: Context, to: str = "", verify: bool = False, files: bool = True) -> None:
    """Write the database and the uploads into backups/.

    inv db.backup --verify
    inv db.backup --to /media/stick/shop.dump
    """
    from djup.data import backup

    backup.run(stack(), to, verify, files)


@task(
    name="backups",
    group=DATA,
    help={
        "keep": "keep this many of the newest; the latest verified one always stays",
        "json": "print JSON, for scripts",
    },
)
def db_backups(c: Context, keep: str = "", json: bool = False) -> None:
    """List the backups: name, age, size, verified or not.

    --json prints a list of objects: dump, number, created, project, database, note, reason,
    contents, size, sha256, verified, files.
    """
    from djup.data import prune

    prune.run(env.load(), keep, json)


@task(
    name="restore",
    group=DATA,
    positional=["name"],
    help={"name": "a backup, a snapshot or a file", "files": "leave the uploads as they are"},
)
def db_restore(c: Context, name: str, files: bool = True) -> None:
    """Restore a backup, a snapshot or a dump.

    The previous database is kept; inv undo restores it.

    inv db.restore main  (the snapshot named after the git branch main)
    inv db.restore dump.sql.gz
    """
    from djup.data import restore

    restore.run(stack(), name, files)


@task(name="snapshot", group=DATA, help={"name": "name of the snapshot (default: the git branch)"})
def db_snapshot(c: Context, name: str = "") -> None:
    """Copy the database to a snapshot on its server."""
    from djup.data import snapshots

    snapshots.make(stack(), name)


@task(
    name="snapshots",
    group=DATA,
    help={"remove": "delete this one permanently", "json": "print JSON, for scripts"},
)
def db_snapshots(c: Context, remove: str = "", json: bool = False) -> None:
    """List the snapshots, and the databases that were replaced.

    --json prints a list of objects: database, bytes, note.
    """
    from djup.data import snapshots

    snapshots.run(stack(), remove, json)


@task(
    name="upgrade",
    group=DATA,
    help={
        "to": "the major version (default: that of POSTGRES_IMAGE in .env)",
        "finish": "remove the data of previous versions; inv undo cannot go back afterwards",
        "yes": "with --finish: do not ask for the project's name",
    },
)
def db_upgrade(c: Context, to: str = "", finish: bool = False, yes: bool = False) -> None:
    """Migrate the data to another version of PostgreSQL.

    The previous data are kept; inv undo goes back to them until --finish.

    inv db.upgrade --to 18
    inv db.upgrade --finish
    """
    from djup.data import upgrade

    upgrade.run(env.load(), to, finish, yes)


@task(group=DATA)
def undo(c: Context) -> None:
    """Undo the last nuke, db.restore, db.upgrade or undo.

    A second undo reverts the first.
    """
    from djup.data import undo as acts

    acts.run(env.load())


@task(
    group=DATA,
    help={
        "yes": "do not ask for the project's name",
        "backup": "--no-backup creates no backup; the data are then lost permanently",
    },
)
def nuke(c: Context, yes: bool = False, backup: bool = True) -> None:
    """Remove containers, volumes and images; asks first.

    Creates a backup, lists what will be removed (only of this project), and asks for the project's
    name. inv undo restores the data.
    """
    from djup.data import nuke

    nuke.run(stack(), yes, backup)


@task(
    name="now",
    default=True,
    group=PRODUCTION,
    help={
        **TARGET,
        "plan": "show what would change, and change nothing",
        "allow_downtime": "deploy even if it interrupts the service",
        "dirty": "include uncommitted changes",
        "backup": "--no-backup skips the backup",
        "check": "--no-check skips the request to each page of the new version",
        "yes": "make the engine a Swarm of one node if it is not in a Swarm",
        "json": "with --plan: print JSON, for scripts",
        "from_backup": "begin a first deploy with a scheduled backup: its name, latest, or none",
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
    json: bool = False,
    from_backup: str = "",
    env: str = stages.PRODUCTION,
) -> None:
    """Deploy the commit to a Docker Swarm.

    Builds the image, creates a backup, migrates, and replaces the containers step by step. If
    anything fails, the previous release is restored.

    --plan --json prints an object: stack, where, commit, in_swarm, nodes, release, before,
    changes_something, changes (what, now, then), new_migrations, interruptions, warnings.

    inv deploy --plan
    inv deploy --local
    """
    from djup.deploy import rollout

    flags = rollout.Flags(
        context, local, plan, allow_downtime, dirty, backup, check, yes, json, from_backup
    )
    rollout.run(deployed(env, local=local), flags)


@task(name="status", group=PRODUCTION, help={**TARGET, "json": "print JSON, for scripts"})
def deploy_status(
    c: Context,
    context: str = "",
    local: bool = False,
    json: bool = False,
    env: str = stages.PRODUCTION,
) -> None:
    """Show what is deployed, and what runs where.

    --json prints an object: stack, release, before, commit, created, by, url, unfinished,
    maintenance (message, allowed, since; or null), services, backups (said, problem; or null),
    archive (follows, bytes, seconds, copied, daily; or null), standby (follows, bytes, seconds,
    copied; or null), edge (others; or null). It ends with an error where scheduled backups are too
    old, or an archive or a standby does not follow.
    """
    from djup.deploy import status

    status.show(deployed(env, local=local), context, local=local, as_json=json)


@task(name="history", group=PRODUCTION, help={**TARGET, "json": "print JSON, for scripts"})
def deploy_history(
    c: Context,
    context: str = "",
    local: bool = False,
    json: bool = False,
    env: str = stages.PRODUCTION,
) -> None:
    """List what was deployed, when and by whom.

    --json prints a list of objects: release, commit, created, by, image, serves, next_rollback.
    """
    from djup.deploy import past

    past.show(deployed(env, local=local), context, local=local, as_json=json)


@task(
    name="rollback",
    group=PRODUCTION,
    help={**TARGET, "allow_downtime": "go back even if it interrupts the service"},
)
def deploy_rollback(
    c: Context,
    context: str = "",
    local: bool = False,
    allow_downtime: bool = False,
    env: str = stages.PRODUCTION,
) -> None:
    """Go back to the previous release."""
    from djup.deploy import rollout

    rollout.back(deployed(env, local=local), context, local=local, allow_downtime=allow_downtime)


@task(
    name="logs",
    group=PRODUCTION,
    help={
        **TARGET,
        "service": "web (the default), proxy, db, pooler, or a service of your own",
        "follow": "keep printing new lines until Ctrl-C",
        "lines": "how many past lines to show, of all containers together",
        "ended": "include containers that have ended, such as those of a previous release",
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
    env: str = stages.PRODUCTION,
) -> None:
    """Show the logs of a service, from every node."""
    from djup.deploy import operations
    from djup.terminal.options import number

    count = number("--lines", lines, "100")
    operations.logs(
        deployed(env, local=local),
        context,
        local=local,
        service=service,
        lines=count,
        ended=ended,
        follow=follow,
    )


@task(name="psql", group=PRODUCTION, rest=True, help=TARGET)
def deploy_psql(
    c: Context, context: str = "", local: bool = False, env: str = stages.PRODUCTION
) -> None:
    """Run psql on the deployed database.

    inv deploy.psql -- -c 'select 1'
    """
    from djup.deploy import operations

    operations.psql(deployed(env, local=local), context, local=local, arguments=remainder())


@task(name="manage", group=PRODUCTION, rest=True, help=TARGET)
def deploy_manage(
    c: Context, context: str = "", local: bool = False, env: str = stages.PRODUCTION
) -> None:
    """Run manage.py of the deployed version.

    inv deploy.manage -- createsuperuser
    """
    from djup.deploy import operations

    operations.manage(deployed(env, local=local), context, local=local, arguments=remainder())


@task(name="shell", group=PRODUCTION, rest=True, help=TARGET)
def deploy_shell(
    c: Context, context: str = "", local: bool = False, env: str = stages.PRODUCTION
) -> None:
    """Open a shell in a container of the deployed version.

    inv deploy.shell -- -c 'env | sort'
    """
    from djup.deploy import operations

    operations.shell(deployed(env, local=local), context, local=local, arguments=remainder())


@task(name="env", group=PRODUCTION, help=TARGET)
def deploy_env(
    c: Context, context: str = "", local: bool = False, env: str = stages.PRODUCTION
) -> None:
    """Print what the deployed stack holds of a lost .env.

    Prints lines of .env with production's values, secrets too. Values that are the default are left
    out. To find the stack, it needs DEPLOY_TO and STACK in .env.

    inv deploy.env > .env.production
    """
    from djup.deploy import env_lines

    env_lines.show(deployed(env, local=local), context, local=local)


@task(name="backup", group=PRODUCTION, help=TARGET)
def deploy_backup(
    c: Context, context: str = "", local: bool = False, env: str = stages.PRODUCTION
) -> None:
    """Back up the deployed database and uploads into backups/."""
    from djup.deploy import operations

    operations.backup(deployed(env, local=local), context, local=local)


@task(
    name="backups",
    group=PRODUCTION,
    help={
        "context": TARGET["context"],
        "env": TARGET["env"],
        "json": "print JSON, for scripts",
        "now": "make one at once, and print its name",
        "new_key": "create a key to encrypt with, and print it",
    },
)
def deploy_backups(
    c: Context,
    context: str = "",
    json: bool = False,
    now: bool = False,
    new_key: bool = False,
    env: str = stages.PRODUCTION,
) -> None:
    """List the scheduled backups in their store.

    It ends with an error where the newest, or the newest that was restored for a trial, is too old.

    --json prints an object: where, problem, backups (a list of objects). Each backup has name,
    created, size, sha256, rows, files, files_bytes, encrypted, verified.
    """
    from djup.deploy import stored

    if new_key:
        stored.show_new_key(deployed(env))
    elif now:
        stored.make_now(deployed(env), context)
    else:
        stored.show(deployed(env), context, as_json=json)


@task(
    name="restore",
    group=PRODUCTION,
    positional=["name"],
    help={
        **TARGET,
        "name": "a backup, a dump, latest, or a database that a restore replaced",
        "at": "the name is a moment (UTC), or how long ago: 10m",
        "yes": "do not ask for the stack's name",
    },
)
def deploy_restore(
    c: Context,
    name: str,
    at: bool = False,
    context: str = "",
    local: bool = False,
    yes: bool = False,
    env: str = stages.PRODUCTION,
) -> None:
    """Restore a backup, or the data of a moment.

    Restores into a new database, which then replaces the previous one. The previous one is kept.

    inv deploy.restore --at '2026-11-28 14:03:05'
    """
    from djup.deploy import operations

    operations.restore(deployed(env, local=local), context, local=local, which=name, at=at, yes=yes)


@task(
    name="promote",
    group=PRODUCTION,
    help={
        "context": TARGET["context"],
        "env": TARGET["env"],
        "node_is_gone": "the node of the database does not answer, and is off",
        "allow_loss": "promote although changes may be missing in the copy",
        "yes": "do not ask for the stack's name",
    },
)
def deploy_promote(
    c: Context,
    context: str = "",
    node_is_gone: bool = False,
    allow_loss: bool = False,
    yes: bool = False,
    env: str = stages.PRODUCTION,
) -> None:
    """Have the standby take the place of the database.

    The database is stopped first. If that fails before the standby is promoted, it starts again.

    inv deploy.promote
    """
    from djup.deploy import promotion

    flags = promotion.Flags(node_is_gone, allow_loss, yes)
    promotion.run(deployed(env), context, flags)


@task(
    name="move",
    group=PRODUCTION,
    help={
        "context": TARGET["context"],
        "env": TARGET["env"],
        "to": "the name of the node, as docker node ls has it",
        "yes": "do not ask for the stack's name",
    },
)
def deploy_move(
    c: Context, to: str, context: str = "", yes: bool = False, env: str = stages.PRODUCTION
) -> None:
    """Move the database to another node.

    A copy follows the database there, then takes its place: the site is without a database for some
    seconds.

    inv deploy.move --to node2
    """
    from djup.deploy import move

    move.run(deployed(env), context, to=to, yes=yes)


@task(
    name="upgrade",
    group=PRODUCTION,
    help={
        "context": TARGET["context"],
        "env": TARGET["env"],
        "to": "the major version (default: that of POSTGRES_IMAGE in .env)",
        "back": "go back to the version before; later changes are lost",
        "finish": "remove the data of previous versions",
        "yes": "do not ask for the stack's name",
    },
)
def deploy_upgrade(
    c: Context,
    to: str = "",
    back: bool = False,
    finish: bool = False,
    context: str = "",
    yes: bool = False,
    env: str = stages.PRODUCTION,
) -> None:
    """Upgrade the database to another version of PostgreSQL.

    A copy follows the database, is upgraded, and takes its place: the site is without a database
    for some seconds. The previous data are kept until --finish.

    inv deploy.upgrade --to 18
    """
    from djup.deploy import upgrade

    upgrade.run(deployed(env), context, upgrade.Flags(to, back, finish, yes))


@task(
    name="maintenance",
    group=PRODUCTION,
    positional=["state"],
    help={
        **TARGET,
        "state": "on or off",
        "message": "what visitors read",
        "allow": "addresses that see the site all the same, such as 203.0.113.7,2001:db8::7",
    },
)
def deploy_maintenance(
    c: Context,
    state: str,
    message: str = "",
    allow: str = "",
    context: str = "",
    local: bool = False,
    env: str = stages.PRODUCTION,
) -> None:
    """Show visitors a maintenance page, or the site again.

    The page is answered with status 503. A deploy, and a restart, leave it as it is.

    inv deploy.maintenance on --message 'We are back at 10:00.'
    """
    from djup.deploy import maintenance

    maintenance.switch(
        deployed(env, local=local), context, local=local, state=state, message=message, allow=allow
    )


@task(
    name="down",
    group=PRODUCTION,
    help={**TARGET, "yes": "do not ask for the stack's name (--local never asks)"},
)
def deploy_down(
    c: Context,
    context: str = "",
    local: bool = False,
    yes: bool = False,
    env: str = stages.PRODUCTION,
) -> None:
    """Remove the deployed services; all data stay.

    The history of releases is removed as well, so deploy.rollback cannot go back.
    """
    from djup.deploy import operations

    operations.down(deployed(env, local=local), context, local=local, yes=yes)


@task(
    name="edge",
    group=PRODUCTION,
    help={
        "context": TARGET["context"],
        "env": TARGET["env"],
        "remove": "remove it, if no site is behind it",
        "yes": "with --remove: do not ask for its name",
        "json": "print JSON, for scripts",
    },
)
def deploy_edge(
    c: Context,
    context: str = "",
    remove: bool = False,
    yes: bool = False,
    json: bool = False,
    env: str = stages.PRODUCTION,
) -> None:
    """List the sites behind the edge of the server.

    --json prints a list of objects: stack, names, tls.
    """
    from djup.deploy import edge_task

    edge_task.run(deployed(env), context, remove=remove, yes=yes, as_json=json)


@task(
    name="copy",
    group=PRODUCTION,
    help={
        **TARGET,
        "source": "s3://BUCKET, or volume (the default)",
        "to": "s3://BUCKET, or volume (the default)",
    },
)
def media_copy(
    c: Context,
    context: str = "",
    local: bool = False,
    source: str = "",
    to: str = "",
    env: str = stages.PRODUCTION,
) -> None:
    """Copy deployed uploads to a bucket, or back.

    What is there already is not copied again, so an interrupted copy continues. The keys of the
    bucket are MEDIA_ENDPOINT, MEDIA_REGION, MEDIA_ACCESS_KEY and MEDIA_SECRET_KEY of .env.

    inv media.copy --to s3://bucket
    inv media.copy --source s3://bucket
    """
    from djup.deploy import media_copy

    media_copy.run(deployed(env, local=local), context, local=local, source=source, to=to)


@task(
    name="test",
    group=CODE,
    rest=True,
    help={"suite": "only this one: tests, or a name in suites of [tool.djup]"},
)
def run_tests(c: Context, suite: str = "") -> None:
    """Run the project's tests on a separate PostgreSQL.

    inv test
    inv test -- notes
    """
    from djup.code import project_tests

    project_tests.run(suite, remainder())


@task(
    group=CODE,
    help={
        "fix": "let ruff fix what it can",
        "staged": "check only format and style, and only the staged files",
    },
)
def lint(c: Context, fix: bool = False, staged: bool = False) -> None:
    """Check format, style, types and missing migrations."""
    from djup.code import linters
    from djup.code import staged as index

    if staged:
        index.run(fix)
    else:
        linters.run(fix)


@task(group=CODE, help={"remove": "remove this hook again"})
def hooks(c: Context, remove: bool = False) -> None:
    """Let git lint the staged files before each commit.

    Writes the hook pre-commit, which runs inv lint --staged. Your own hooks are never replaced. git
    commit --no-verify skips the hook.
    """
    from djup.code import hooks

    hooks.run(remove)


@task(group=CODE, help={"upgrade": "use the newest versions that the .in files allow"})
def lock(c: Context, upgrade: bool = False) -> None:
    """Compile requirements/*.in to locks with hashes."""
    from djup.code import locks

    locks.compile_all(upgrade)


@task(
    name="upgrade",
    group=TOOLKIT,
    help={"to": "a wheel of djup, a folder with one wheel, or a version"},
)
def toolkit_upgrade(c: Context, to: str) -> None:
    """Install another version of djup in this project.

    Your edits are merged. The result is one commit, which git revert undoes.

    inv toolkit.upgrade djup-0.2.0-py3-none-any.whl
    """
    from djup.project import upgrade

    upgrade.run(to)


def every_task() -> Collection:
    """The tasks of djup, in the order of `inv --list`."""
    return Collection(
        up, down, status, services, doctor, explain, logs, mail, open_page, build, compose,
        migrate, makemigrations, manage, schedule, shell,
        psql, volumes, nuke, undo,
        run_tests, lint, lock, hooks,
        Collection("service", service_add, service_remove),
        Collection(
            "db",
            db_backup, db_backups, db_restore, db_snapshot, db_snapshots,
            db_upgrade, db_password, db_create, db_seed,
        ),
        Collection(
            "deploy",
            deploy, deploy_status, deploy_history, deploy_rollback, deploy_logs, deploy_psql,
            deploy_manage, deploy_shell, deploy_env, deploy_backup, deploy_backups,
            deploy_restore, deploy_promote, deploy_move, deploy_upgrade, deploy_maintenance,
            deploy_down, deploy_edge,
        ),
        Collection("media", media_copy),
        Collection("toolkit", toolkit_upgrade),
    )  # fmt: skip
