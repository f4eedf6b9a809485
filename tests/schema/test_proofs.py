"""A proof bundle convinces the offline verifier, which knows nothing of ReviewBot, and no changed one does."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from schema.log import Log
from schema.notes import Checkpoint, Signer, parse_checkpoint
from schema.outside import Copy
from schema.proofs import Bundle, NotProvable, prove
from tests.house.tree import ROOT
from tests.schema.sealing import Pool, Sealed, attack

VERIFIER = ROOT / "ops/verify_offline.py"
SAMPLES = ROOT / "tests/samples/seal"
STREAM = uuid4()


@pytest.fixture
async def sealed(pool: Pool, tmp_path: Path) -> Sealed:
    """Events of one stream amid others, sealed at 300 and at 613."""
    sealed = Sealed(pool, tmp_path)
    await sealed.append(300)
    await sealed.seal()
    await sealed.append(10, STREAM)
    await sealed.append(303)
    await sealed.seal()
    return sealed


async def bundle_of(sealed: Sealed) -> Bundle:
    events = await Log(sealed.pool).read_stream(STREAM)
    return await prove(sealed.pool, sealed.keys.verifiers(), events, [await copy_of(sealed, 300)])


async def copy_of(sealed: Sealed, size: int) -> Copy:
    root = await sealed.pool.fetchval("select root from tree_head where size = $1", size)
    return Copy(size, root, None, "a Check Run")


def run(folder: Path, bundle: bytes, key: str, *kept: str) -> subprocess.CompletedProcess[str]:
    """Run the verifier far away from ReviewBot: in isolated mode, in a folder of its own."""
    (folder / "bundle.json").write_bytes(bundle)
    (folder / "verify_offline.py").write_bytes(VERIFIER.read_bytes())
    command = [sys.executable, "-P", "verify_offline.py", "bundle.json", key, *kept]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": ""}, capture_output=True, text=True, check=False, timeout=60
    )


async def test_the_offline_verifier_is_convinced_and_by_nothing_but_the_right_key_and_checkpoints(
    sealed: Sealed, tmp_path: Path
) -> None:
    bundle = msgspec.json.encode(await bundle_of(sealed))
    key = sealed.keys.signer().verifier.text
    old = Checkpoint("", 300, (await copy_of(sealed, 300)).root).brief
    note = tmp_path / "kept.note"
    note.write_text(await sealed.pool.fetchval("select note from tree_head where size = 613"))
    good = run(tmp_path, bundle, key, old, str(note))
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout == "Good: 10 events are in the log of 613 events, which continues 2 kept checkpoints.\n"

    other_key = Signer("example.org/log", bytes(32)).verifier.text
    for arguments, reason in {
        (other_key,): "is not signed by this key",
        (key[:-2] + "xx",): "BAD",
        (key, Checkpoint("", 300, bytes(32)).brief): "does NOT continue the checkpoint of size 300",
        (key, Checkpoint("", 299, bytes(32)).brief): "no proof for the checkpoint of size 299",
    }.items():
        bad = run(tmp_path, bundle, *arguments)
        assert (bad.returncode, bad.stdout) == (1, "")
        assert reason in bad.stderr
        assert "Traceback" not in bad.stderr


def offline() -> dict[str, Any]:
    """The verifier's functions, to try much in little time."""
    names: dict[str, Any] = {"__name__": "verify_offline"}
    exec(compile(VERIFIER.read_text(), str(VERIFIER), "exec"), names)  # noqa: S102 - our own file, which is no package
    return names


def harms(event: dict[str, Any]) -> list[Callable[[dict[str, Any]], None]]:
    def setting(name: str, value: object) -> Callable[[dict[str, Any]], None]:
        return lambda victim: victim.update({name: value})

    other = {"position": event["position"] + 1, "stream": str(uuid4()), "data": "e30=", "delivery": str(uuid4())}
    other |= {"version": 99, "topic": "Other", "actor": "x", "installation": None, "causation": 1, "recorded_at": 0}
    other |= {"correlation": str(uuid4()), "proof": event["proof"][:-1]}
    return [setting(name, value) for name, value in other.items()]


async def test_an_event_that_is_changed_in_any_part_does_not_convince(sealed: Sealed) -> None:
    check, key = offline()["check"], sealed.keys.signer().verifier.text
    bundle = msgspec.to_builtins(await bundle_of(sealed))
    assert check(bundle, key, []).startswith("10 events are in the log of 613 events")
    for harm in harms(bundle["events"][3]):
        changed = json.loads(json.dumps(bundle))
        harm(changed["events"][3])
        with pytest.raises(ValueError, match=r"is not in the sealed log|too short"):
            check(changed, key, [])


def test_the_published_bundle_convinces() -> None:
    vector = json.loads((SAMPLES / "bundle.json").read_text())
    assert offline()["check"](vector["bundle"], vector["key"], vector["kept"]) == vector["says"]


def test_the_offline_verifier_reads_the_published_leaves() -> None:
    leaf = offline()["leaf"]
    for vector in json.loads((SAMPLES / "entries.json").read_text())["events"]:
        event = vector["event"] | {"recorded_at": vector["recorded_at_us"]}
        assert leaf(event).hex() == vector["leaf"]


def test_the_offline_verifier_is_short_and_imports_nothing_of_ours() -> None:
    source = VERIFIER.read_text()
    assert source.count("\n") <= 150
    imported: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert "cryptography" in imported
    assert imported - sys.stdlib_module_names == {"cryptography"}


def test_without_arguments_the_offline_verifier_says_how_to_use_it(tmp_path: Path) -> None:
    told = subprocess.run([sys.executable, VERIFIER], capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == 2
    assert "verify_offline.py BUNDLE KEY" in told.stderr


async def test_what_is_not_sealed_yet_cannot_be_proven(sealed: Sealed) -> None:
    await sealed.append(1)
    newest = await Log(sealed.pool).read_after(613)
    with pytest.raises(NotProvable, match="event 614 is not sealed yet"):
        await prove(sealed.pool, sealed.keys.verifiers(), newest, [])


async def test_no_proof_is_given_for_what_was_changed_or_does_not_continue_a_copy(
    sealed: Sealed, database: str
) -> None:
    events = await Log(sealed.pool).read_stream(STREAM)
    forged = [msgspec.structs.replace(events[0], actor="nobody")]
    with pytest.raises(NotProvable, match="event 301 is not what was sealed"):
        await prove(sealed.pool, sealed.keys.verifiers(), forged, [])
    with pytest.raises(NotProvable, match="does not continue the checkpoint of a Check Run"):
        await prove(sealed.pool, sealed.keys.verifiers(), events, [Copy(300, bytes(32), None, "a Check Run")])
    await attack(database, "delete from tile")
    with pytest.raises(NotProvable, match="tile/0/000 is missing"):
        await prove(sealed.pool, sealed.keys.verifiers(), events, [])


async def test_every_event_of_a_log_of_many_tiles_can_be_proven(sealed: Sealed) -> None:
    events = await Log(sealed.pool).read_after(0, 1_000)
    bundle = await prove(sealed.pool, sealed.keys.verifiers(), events[::37], [])
    check = offline()["check"]
    assert check(msgspec.to_builtins(bundle), sealed.keys.signer().verifier.text, []).startswith("17 events are in")
    assert parse_checkpoint(bundle.checkpoint).size == 613
