"""`make mutants`: puts each mutant into a copy of the tree, runs the tests that must notice it, and tells which did.

0 when all are caught. 1 when one survives, does not fit the code any more, or its tests fail without it as well.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from reviewbot.terminal import counting
from tests.house.tree import ROOT, files
from tests.mutants.catalog import MUTANTS, Mutant

TEST_SECONDS = 60  # for one test; a mutant may make it wait for ever
RUN_SECONDS = 240  # for all tests of one mutant
CHECK_SECONDS = 900  # for all tests without any mutant
FAILED = re.compile(r"^FAILED (?:\S*/)?(\S+?\.py)::(\w+)", re.MULTILINE)


class Result(NamedTuple):
    """What a run of tests came to."""

    caught_by: str  # the test that failed; empty when none did
    trouble: str  # why nothing can be said; empty when all went well
    seconds: float


class Misfit(Exception):
    """The old lines of a mutant do not stand exactly once in its file."""


@contextmanager
def copied(root: Path, paths: Sequence[str]) -> Iterator[Path]:
    """A copy of some files of a tree, for as long as it takes."""
    with tempfile.TemporaryDirectory(prefix="reviewbot-mutants-") as folder:
        copy = Path(folder)
        for path in paths:
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / path, copy / path)
        yield copy


@contextmanager
def mutated(tree: Path, mutant: Mutant) -> Iterator[None]:
    """The tree with the mutant in it. Raises Misfit."""
    file = tree / mutant.file
    text = file.read_text(encoding="utf-8")
    if (times := text.count(mutant.old)) != 1:
        raise Misfit(f"its old lines stand {times} times in {mutant.file}")
    file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        yield
    finally:
        file.write_text(text, encoding="utf-8")


def run(tree: Path, tests: Sequence[str], *, seconds: float = RUN_SECONDS) -> Result:
    """Run tests in a tree until the first one fails."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "--tb=no", f"--timeout={TEST_SECONDS}"]
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=tree,
        # Before the path of the installed project, also for the processes that tests start.
        env=os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        return Result("", f"no end within {seconds:g} s", time.monotonic() - began)
    except BaseException:
        _end(process)
        raise
    return _judge(process.returncode, output, time.monotonic() - began)


def _end(process: subprocess.Popen[str]) -> None:
    """As from the keyboard, so that the tests' own Postgres goes as well."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _judge(code: int, output: str, seconds: float) -> Result:
    """A test that fails has noticed something; tests that cannot be run at all have not."""
    failed = FAILED.search(output)
    if code == 0:
        return Result("", "", seconds)
    if code == 1 and failed:
        return Result(f"{failed[1]}: {failed[2]}", "", seconds)
    last = output.strip().splitlines()[-1:] or ["pytest said nothing"]
    return Result("", f"its tests cannot be run (pytest ended with {code}): {last[0]}", seconds)


def try_mutant(tree: Path, mutant: Mutant) -> Result:
    """Whether the mutant's tests notice it."""
    try:
        with mutated(tree, mutant):
            return run(tree, mutant.tests)
    except Misfit as error:
        return Result("", str(error), 0.0)


def check_unmutated(tree: Path, mutants: Sequence[Mutant]) -> str:
    """Why the tests prove nothing, as one fails without any mutant; empty when all pass."""
    result = run(tree, list(dict.fromkeys(test for mutant in mutants for test in mutant.tests)), seconds=CHECK_SECONDS)
    return result.trouble or (f"{result.caught_by} fails without any mutant" if result.caught_by else "")


def tell(mutant: Mutant, result: Result) -> None:
    """A row of the table, as soon as it is known."""
    verdict = result.caught_by or (f"NOT CAUGHT: {result.trouble}" if result.trouble else "SURVIVED")
    print(f"| {mutant.name} | {verdict} | {result.seconds:.1f} |", flush=True)


def report(results: Sequence[tuple[Mutant, Result]]) -> int:
    """Say how it ended; returns the exit code."""
    caught = sum(1 for _, result in results if result.caught_by)
    print(f"{caught} of {len(results)} mutants are caught.")
    return 0 if caught == len(results) else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.run", description=__doc__)
    parser.add_argument("--only", metavar="WORD", help="mutants with this word in their name alone")
    word = parser.parse_args().only or ""
    chosen = [mutant for mutant in MUTANTS if word in mutant.name]
    if not chosen:
        parser.error(f"no mutant has {word!r} in its name")
    results: list[tuple[Mutant, Result]] = []
    with copied(ROOT, files()) as tree, counting("mutants") as progress:
        task = progress.add_task("their tests without them", total=len(chosen))
        if trouble := check_unmutated(tree, chosen):
            sys.exit(f"The tests prove nothing: {trouble}.")
        print("| mutant | caught by | seconds |\n|---|---|---|", flush=True)
        for mutant in chosen:
            progress.update(task, description=mutant.name)
            results.append((mutant, try_mutant(tree, mutant)))
            progress.advance(task)
            tell(*results[-1])
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
