"""A running service seals what it does; its checkpoints stand on GitHub, and what it did can be proven to anybody."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reviewbot.cli import main
from tests.helpers import wait_until
from tests.house.tree import ROOT
from tests.journeys.rig import Place
from tests.schema.sealing import attack

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("journeys")]


async def verify(place: Place, *arguments: str, **settings: str) -> Result:
    """The command, in a thread with a loop of its own."""
    environment = {name: value for name, value in place.rig.environment.items() if name not in ("PATH", "HOME")}
    runner = CliRunner(env=environment | settings)
    return await asyncio.to_thread(runner.invoke, main, ["verify", *arguments])


async def all_is_sealed(place: Place) -> None:
    """Wait for the seal of everything that is in the log."""

    async def sealed() -> bool:
        position = await place.rig.pool.fetchval("select position from log_head")
        return await place.rig.pool.fetchval("select coalesce(max(size), 0) from tree_head") == position

    await wait_until(sealed, what="the seal of everything")


def judgement(result: Result) -> str:
    return result.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "reason"),
    [
        (["--proof", "seven"], {}, 2, "'seven' is not a valid UUID"),
        (["--proof", "00000000-0000-0000-0000-000000000000"], {}, 2, "The log knows no job 00000000"),
        (["--since", "/nowhere"], {}, 2, "does not exist"),
        ([], {"DATA_DIR": "/nowhere"}, 2, "There is no key to check signatures with: /nowhere/seal.key does not exist"),
        ([], {"SEAL_KEY": "short"}, 2, "SEAL_KEY is not 32 bytes in base64: make one with openssl rand -base64 32."),
        ([], {"SEAL_KEYS_OLD": "a+b+c"}, 2, "SEAL_KEYS_OLD holds 'a+b+c', which holds what is no base64."),
        ([], {"SEAL_ORIGIN": "my log"}, 2, "SEAL_ORIGIN must be a name without spaces and without +."),
    ],
)
async def test_what_cannot_be_verified_is_refused_with_a_sentence(
    place: Place, tmp_path: Path, arguments: list[str], settings: dict[str, str], code: int, reason: str
) -> None:
    environment = {"DATA_DIR": str(tmp_path), "SEAL_KEY": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="} | settings
    if settings.get("DATA_DIR"):
        environment["SEAL_KEY"] = ""
    result = await verify(place, *arguments, **environment)
    assert (result.exit_code, "Traceback" in result.output) == (code, False)
    assert reason in result.stderr


async def test_health_says_how_far_the_log_is_sealed_and_why_no_further(place: Place) -> None:
    await place.open("topic")
    await place.ends("completed")
    await wait_until(lambda: sealing(place, fault=None), what="the seal of everything")
    copies = place.rig.folder / "checkpoints.jsonl"
    copies.rename(copies.with_suffix(".away"))
    copies.mkdir()
    await place.open("clean")
    await wait_until(lambda: sealing(place, fault="checkpoints cannot be kept in"), what="the fault told")
    copies.rmdir()
    copies.with_suffix(".away").rename(copies)
    await wait_until(lambda: sealing(place, fault=None), seconds=20, what="the seal of everything")


async def sealing(place: Place, *, fault: str | None) -> bool:
    """Whether the service says so: a fault that begins like this, or that everything is sealed."""
    address = str(place.rig.standin.webhooks.url).replace("/webhooks/github", "/health")
    async with place.rig.http.get(address) as answer:
        health = await answer.json()
    if fault is None:
        return bool(health["seal"]["unsealed_events"] == 0 and health["seal"]["fault"] is None)
    return str(health["seal"]["fault"]).startswith(fault) and health["status"] == "degraded"


async def test_a_review_is_sealed_told_to_github_proven_offline_and_no_longer_so_when_touched(
    place: Place, tmp_path: Path
) -> None:
    await place.open("topic", title="First")
    (job,) = await place.ends("completed")
    await all_is_sealed(place)
    await place.open("clean", title="Second")
    await place.ends("completed", number=2)
    told = re.search(r"Log sealed at `((\d+):[\w+/=]+)`", place.check_runs()[-1].output.text or "")
    assert told is not None, "the Check Run tells of no checkpoint"
    checkpoint, size = told.groups()
    assert int(size) >= job.position  # what GitHub keeps covers every review that was sealed before
    await all_is_sealed(place)
    github, bundle = tmp_path / "github.txt", tmp_path / "proof.json"
    github.write_text(checkpoint + "\n")
    whole = await verify(place, "--since", str(github), "--proof", str(job.job), "--out", str(bundle))
    assert whole.exit_code == 0, whole.output
    assert "The log is whole: " in whole.stdout
    output = "".join(path.read_text() for path in place.rig.folder.glob("*-all.log"))
    (key,) = set(re.findall(r"reviewbot\+[0-9a-f]{8}\+[\w+/=]+", output))
    offline = [sys.executable, ROOT / "ops/verify_offline.py", bundle, key, checkpoint]
    proven = await asyncio.to_thread(subprocess.run, offline, capture_output=True, text=True, check=False, timeout=60)
    assert proven.returncode == 0, proven.stderr
    assert "continues 1 kept checkpoints" in proven.stdout
    assert {"ReviewRequested", "ReviewCompleted"} <= {
        each["topic"] for each in json.loads(bundle.read_text())["events"]
    }

    logged = tmp_path / "service.log"  # what a log collector would have kept
    logged.write_text(output)
    await attack(place.rig.database, "update event set actor = 'nobody' where position = 2")
    for copies in (["--since", str(logged)], []):
        touched = await verify(place, *copies)
        assert (touched.exit_code, judgement(touched)) == (1, "The log is NOT what was sealed.")
        assert "Events between 1 and" in touched.stdout


async def test_the_help_says_what_is_not_promised() -> None:
    text = " ".join(CliRunner().invoke(main, ["verify", "--help"]).output.split())
    assert "whoever has the signing key and every outside copy can rewrite the log" in text
    assert "Nothing proves that an event was never received" in text
