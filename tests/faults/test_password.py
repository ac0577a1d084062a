"""A new password: `.env` and the database hold the same one, whatever happens in between."""

import fcntl
import signal

from stacks import Checkout, eventually

CHANGING = ".state/password-changing"
SLEEPING = "from pg_stat_activity where query like '%pg_sleep(8)%' and pid <> pg_backend_pid()"


def test_both_get_a_new_one(kept: Checkout) -> None:
    kept.inv("up")
    before = kept.values["SQL_PASSWORD"]
    said = kept.inv("db.password", "--new")
    after = kept.values["SQL_PASSWORD"]
    assert after != before and len(after) == 32
    assert after not in said.stdout + said.stderr and before not in said.stdout + said.stderr
    assert_works(kept)


def test_killed_between_the_two(kept: Checkout) -> None:
    """Another session holds the role, so the task waits, with `.env` written already."""
    before = kept.values["SQL_PASSWORD"]
    hold = "begin; alter role current_user connection limit -1; select pg_sleep(8);"
    holder = kept.start("psql", "--", "-c", hold)
    eventually(lambda: sleepers(kept) == "1", 10, "the role is held")
    changing = kept.start("db.password", "--new")
    eventually(lambda: kept.values["SQL_PASSWORD"] != before, 30, ".env has the new one")
    changing.send_signal(signal.SIGKILL)
    changing.communicate()
    assert (kept.root / CHANGING).exists()
    kept.inv("up")  # the killed one's psql is at work still: both want the role once it is free
    holder.communicate()
    assert not (kept.root / CHANGING).exists()
    assert_works(kept)


def test_killed_before_anything(kept: Checkout) -> None:
    before = kept.values["SQL_PASSWORD"]
    with (kept.root / ".state" / "lock").open() as held:  # as another task does
        fcntl.flock(held, fcntl.LOCK_EX)
        changing = kept.start("db.password", "--new")
        assert changing.stderr and "in this checkout to finish" in changing.stderr.readline()
        changing.send_signal(signal.SIGKILL)
        changing.communicate()
    assert kept.values["SQL_PASSWORD"] == before
    assert_works(kept)


def sleepers(kept: Checkout) -> str:
    return kept.sql(f"select count(*) {SLEEPING}")


def assert_works(kept: Checkout) -> None:
    """Over the network with the password from `.env`, as the web does."""
    kept.inv("manage", "--", "check", "--database", "default")
    kept.assert_kept()
    assert kept.found_by_doctor() == set()
