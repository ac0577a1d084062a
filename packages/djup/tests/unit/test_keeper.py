"""When backups are due, which stay, and what `.env` may say of them."""

import hashlib
import json
import tarfile
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from djup.checkout import env
from djup.deploy import keeping, production, stored
from djup.keeper import seal, thinning, times, uploads, work
from djup.keeper.config import Config
from djup.keeper.store import Store, Stored
from djup.problems import Problem

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
PUBLIC = "age1" + "q" * 58
PRIVATE = "AGE-SECRET-KEY-1" + "Q" * 58
GIVEN = (
    "COMPOSE_PROJECT_NAME=shop\nSECRET_KEY=x\nSQL_PASSWORD=x\nDOMAIN=shop.example.org\nSTACK=shop\n"
    f"PROD_SECRET_KEY={'k' * 50}\nPROD_SQL_PASSWORD=geheim\nPROD_BACKUP_AT=03:15\n"
)
BUCKET = {"TO": "s3://bucket/path", "REGION": "eu", "ACCESS_KEY": "a", "SECRET_KEY": "hidden-one"}


def of_env(**values: str) -> production.Production:
    lines = "".join(f"PROD_{key}={value}\n" for key, value in values.items())
    return production.from_settings(env.settings_from(GIVEN + lines))


def bucket(**values: str) -> dict[str, str]:
    return {f"BACKUP_{key}": value for key, value in {**BUCKET, **values}.items()}


@pytest.mark.parametrize(
    ("at", "now", "last", "following"),
    [
        ("03:15", "2026-11-30 12:00", "2026-11-30 03:15", "2026-12-01 03:15"),
        ("03:15", "2026-11-30 03:15", "2026-11-30 03:15", "2026-12-01 03:15"),
        ("03:15", "2026-11-30 03:14", "2026-11-29 03:15", "2026-11-30 03:15"),
        ("15:15, 03:15", "2026-11-30 12:00", "2026-11-30 03:15", "2026-11-30 15:15"),
        ("03:15,15:15", "2026-12-31 23:59", "2026-12-31 15:15", "2027-01-01 03:15"),
    ],
)
def test_when_one_was_due_and_is_due_next(at: str, now: str, last: str, following: str) -> None:
    minutes, moment = times.of_day(at), times.moment(now)
    assert times.last_due(minutes, moment) == times.moment(last)
    assert times.next_due(minutes, moment) == times.moment(following)


@pytest.mark.parametrize("text", ["", "24:00", "3:15", "03:60", "03.15", "03:15;04:00", "noon"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        times.of_day(text)


@pytest.mark.parametrize(
    ("now", "oldest"),
    [
        ("2026-11-30 03:16", "2026-11-29 03:15"),
        ("2026-11-30 04:15", "2026-11-29 03:15"),
        ("2026-11-30 04:16", "2026-11-30 03:15"),
        ("2026-12-01 03:14", "2026-11-30 03:15"),
    ],
)
def test_a_backup_is_late_an_hour_after_its_time(now: str, oldest: str) -> None:
    assert times.oldest_allowed(times.of_day("03:15"), times.moment(now)) == times.moment(oldest)


def nights(count: int) -> dict[str, datetime]:
    return {f"night {n}": NOON - timedelta(days=n) for n in range(count)}


def test_the_newest_of_each_day_week_and_month_stay() -> None:
    kept = thinning.kept(nights(400), [], "7d4w6m")
    assert kept >= {f"night {n}" for n in (*range(7), 8, 15)}  # the 30th is a Monday
    months = {(NOON - timedelta(days=int(name.split()[1]))).month for name in kept}
    assert months == {11, 10, 9, 8, 7, 6} and len(kept) == 7 + 2 + 5


def test_of_several_in_a_day_the_newest_stays() -> None:
    made = {"early": NOON - timedelta(hours=8), "late": NOON, "before": NOON - timedelta(days=1)}
    assert thinning.kept(made, [], "2d") == {"late", "before"}


def test_the_newest_and_the_newest_verified_always_stay() -> None:
    assert thinning.kept(nights(9), ["night 7", "night 8"], "1d") == {"night 0", "night 7"}
    assert thinning.kept({}, [], "1d") == set()


@pytest.mark.parametrize("text", ["", "7", "0d", "d7", "7d4x", "w", "4w7d"])
def test_what_keeps_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        thinning.periods(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("BACKUP_AT", "25:00"),
        ("BACKUP_KEEP", "often"),
        ("BACKUP_VERIFY", "sometimes"),
        ("BACKUP_TO", "http://bucket"),
        ("BACKUP_TO", "sftp://host"),
        ("BACKUP_TO", "sftp://user:geh3im@host/path"),
        ("BACKUP_TO", "sftp://user@host/path"),  # without the server's key
        ("BACKUP_REGION", ""),  # and no address of another host than Amazon's
        ("BACKUP_ACCESS_KEY", ""),
        ("BACKUP_SECRET_KEY", ""),
        ("BACKUP_KEY", "age1short"),
        ("HEARTBEAT_URL", "hc-ping.com"),
        ("NOTIFY_URL", "slack"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_built(key: str, value: str) -> None:
    with pytest.raises(Problem) as caught:
        of_env(**{**bucket(), key: value})
    assert caught.value.code in ("ENV05", "ENV06") and f"PROD_{key[:6]}" in caught.value.what
    assert "hidden-one" not in str(caught.value) and "geh3im" not in str(caught.value)


def test_what_the_stack_gets() -> None:
    wanted = of_env(**bucket(KEY=PUBLIC))
    assert "prod/keeper.yaml" in wanted.files
    assert wanted.values["KEEPER"].startswith("shop-keeper:")
    assert wanted.values["KEEPER_NODES"] == "node.labels.db.shop == true"
    told = json.loads(wanted.secrets["keeper"])
    assert (told["STACK"], told["BACKUP_SECRET_KEY"]) == ("shop", "hidden-one")
    assert "hidden-one" not in str(wanted.values) and "hidden-one" not in repr(wanted)
    assert "BACKUP" not in wanted.secrets["settings"], "the web has no use for them"


def test_without_times_there_is_none_of_it() -> None:
    text = GIVEN.replace("PROD_BACKUP_AT=03:15\n", "")
    wanted = production.from_settings(env.settings_from(text))
    assert "prod/keeper.yaml" not in wanted.files
    assert "keeper" not in wanted.secrets and "KEEPER" not in wanted.values


def test_the_private_key_never_gets_to_the_server() -> None:
    settings = env.settings_from(f"{GIVEN}BACKUP_IDENTITY={PRIVATE}\nPROD_BACKUP_KEY={PUBLIC}\n")
    wanted = production.from_settings(settings)
    assert PRIVATE not in json.dumps([wanted.secrets, dict(wanted.values), wanted.configs])
    restores = keeping.config("shop", stored.of(settings).chosen, restores=True)
    assert PRIVATE in restores.as_text()


def test_who_can_read() -> None:
    assert seal.Seal(Config("shop", {})).reads and not seal.Seal(Config("shop", {})).encrypts
    assert not seal.Seal(Config("shop", {"BACKUP_KEY": PUBLIC})).reads
    assert seal.Seal(Config("shop", {"BACKUP_KEY": PRIVATE})).reads
    both = {"BACKUP_KEY": PUBLIC, "BACKUP_IDENTITY": PRIVATE}
    assert seal.Seal(Config("shop", both)).reads


@pytest.mark.parametrize(
    ("address", "root"),
    [
        ("", "/store/shop"),
        ("s3://bucket", "STORE:bucket/shop"),
        ("s3://bucket/a/b/", "STORE:bucket/a/b/shop"),
    ],
)
def test_where_the_store_is(address: str, root: str) -> None:
    assert Store(Config("shop", {"BACKUP_TO": address})).root == root


def backup(name: str, hours: float, verified: float | None = None) -> Stored:
    made = (NOON - timedelta(hours=hours)).isoformat()
    trial = "" if verified is None else (NOON - timedelta(hours=verified)).isoformat()
    return Stored(name, made, 1000, "0" * 64, 10, 2, 500, encrypted=True, verified=trial)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([backup("new", 8, 7)], ""),
        ([backup("new", 8), backup("old", 300, 299)], ""),
        ([backup("new", 30, 29)], "DEP58"),
        ([backup("by a wrong clock", -9000, -9000), backup("old", 30, 29)], "DEP58"),
        ([], "DEP58"),
        ([backup("new", 8)], "DEP59"),
        ([backup("new", 8), backup("old", 400, 15 * 24)], "DEP59"),
    ],
)
def test_what_is_red(found: list[Stored], code: str) -> None:
    store = stored.of(env.settings_from(GIVEN))
    cause = stored.judged(store, found, NOON)
    assert (cause.code if cause else "") == code


@pytest.mark.parametrize(
    ("before", "made", "refused"),
    [
        (None, {"rows": 0}, False),
        ({"rows": 100, "files": 9}, {"rows": 11, "files": 9}, False),
        ({"rows": 100, "files": 9}, {"rows": 9, "files": 9}, True),
        ({"rows": 100, "files": 9}, {"rows": 100, "files": 0}, True),
        ({"rows": 0, "files": 0}, {"rows": 0, "files": 0}, False),
    ],
)
def test_far_less_than_before_is_told(
    before: dict[str, int] | None, made: dict[str, int], refused: bool
) -> None:
    one = backup("one", 0)
    earlier = replace(one, **before) if before else None
    with pytest.raises(Problem) if refused else nullcontext():
        work._refuse_shrunken(earlier, replace(one, **made))


class Storing(Store):
    """A store that only notes which contents it was given, and has some."""

    def __init__(self, there: set[str]) -> None:
        self.there = there

    def files(self) -> set[str]:
        return self.there

    def put_files(self, folder: Path) -> None:
        self.there |= {path.name for path in folder.rglob("*") if path.is_file()}


def test_uploads_that_change_while_they_are_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "ROOT", root := tmp_path / "files")
    root.mkdir()
    for name in ("kept", "same", "deleted", "changed"):
        (root / name).write_text("same" if name == "kept" else name)
    found = uploads.found(tmp_path / "hashes")
    assert uploads.found(tmp_path / "hashes") == found
    (root / "deleted").unlink()
    (root / "changed").write_text("changed meanwhile")
    store, stage = Storing(set()), tmp_path / "stage"
    shipped = uploads.ship(found, store, seal.Seal(Config("shop", {})), stage)
    assert set(shipped) == {"kept", "same"} and len(store.there) == 1


def test_an_archive_of_what_the_store_has(tmp_path: Path) -> None:
    (contents := tmp_path / "contents").mkdir()
    plain = seal.Seal(Config("shop", {}))
    found = {}
    for name, text in (("a/ä.txt", "one"), ("lost", "two"), ("damaged", "three")):
        digest = hashlib.sha256(text.encode()).hexdigest()
        found[name] = uploads.Upload(len(text), 10**18, digest)
        if name != "lost":
            (contents / digest).write_text("other" if name == "damaged" else text)
    packed = uploads.pack(found, "", plain, contents, target := tmp_path / "files.tar.gz")
    assert packed == [found["a/ä.txt"]]
    with tarfile.open(target) as tar:
        assert [(m.name, m.size) for m in tar] == [("./a/ä.txt", 3)]


def test_what_the_plan_warns_of() -> None:
    def warned(**values: str) -> str:
        lines = "".join(f"PROD_{key}={value}\n" for key, value in values.items())
        chosen = stored.of(env.settings_from(GIVEN + lines)).chosen
        return "\n".join(keeping.warnings(chosen, "PROD_"))

    assert "lost with it" in warned() and "HEARTBEAT_URL" in warned()
    assert "without encryption" in warned(**bucket())
    assert warned(**bucket(KEY=PUBLIC), HEARTBEAT_URL="https://hc.example.org/1") == ""
