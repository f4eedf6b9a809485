"""`make` sets up a machine from nothing, once, and says what is missing when it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import ROOT

# A Python that makes the .venv of a test: its `python` notes how it was called and with which of pip's settings.
RECORDER = """#!/bin/sh
case "$*" in
  "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  "-m pip"*) { echo "$*"; env | grep ^PIP_ | sort; } >>calls ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A clone's worth of files for `make`, with a Python that installs nothing."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    fake_python(tmp_path, RECORDER)
    return tmp_path


def fake_python(machine: Path, script: str) -> None:
    (machine / "python").write_text(script)
    (machine / "python").chmod(0o755)


def make(machine: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # Without what an outer `make test` hands down to the programs that it starts.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PIP_"))}
    environment = inherited | {"PYTHON": "./python"} | environment
    return subprocess.run(
        ["make", *arguments], cwd=machine, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def calls(machine: Path) -> str:
    return (machine / "calls").read_text()


def test_install_takes_the_lock_with_hashes_and_then_the_project_alone(machine: Path) -> None:
    assert make(machine, "install").returncode == 0
    first, second = (line for line in calls(machine).splitlines() if line.startswith("-m pip"))
    assert "--require-hashes" in first
    assert first.endswith("-r requirements.lock")
    assert "--no-deps --no-build-isolation --editable ." in second


def test_a_second_install_does_nothing(machine: Path) -> None:
    make(machine, "install")
    assert make(machine, "--question", "install").returncode == 0


@pytest.mark.parametrize(("changed", "installs"), [("requirements.lock", 4), ("pyproject.toml", 3)])
def test_a_changed_file_installs_anew(machine: Path, changed: str, installs: int) -> None:
    make(machine, "install")
    now = (machine / ".venv" / ".project").stat().st_mtime + 5
    os.utime(machine / changed, (now, now))
    assert make(machine, "install").returncode == 0
    assert calls(machine).count("-m pip") == installs


def test_an_interrupted_install_is_taken_up_again(machine: Path) -> None:
    fake_python(machine, RECORDER + 'case "$*" in *--require-hashes*) exit 1 ;; esac\n')
    assert make(machine, "install").returncode != 0
    assert make(machine, "--question", "install").returncode == 1


def test_only_how_to_reach_an_index_is_taken_from_the_environment(machine: Path) -> None:
    index = {"PIP_INDEX_URL": "https://example.org/simple", "PIP_CERT": "/etc/cert.pem"}
    other = {
        "PIP_CONSTRAINT": "/nowhere",
        "PIP_TARGET": "/nowhere",
        "PIP_NO_DEPS": "1",
        "PIP_USER": "1",
        "PIP_PRE": "1",
    }
    assert make(machine, "install", **index, **other).returncode == 0
    kept = {line.split("=")[0] for line in calls(machine).splitlines() if line.startswith("PIP_")}
    assert kept == index.keys()


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ('case "$*" in *version_info*) exit 1 ;; esac', "is not Python 3.11 or newer"),
        ('case "$*" in *ensurepip*) exit 1 ;; esac', "apt-get install python3-venv"),
    ],
)
def test_a_machine_that_lacks_something_is_told_what_to_install(machine: Path, script: str, sentence: str) -> None:
    fake_python(machine, f"#!/bin/sh\n{script}\n")
    failed = make(machine, "install")
    assert failed.returncode == 2
    assert sentence in failed.stderr
    assert not (machine / ".venv").exists()


def test_a_machine_without_python_is_told_so(machine: Path) -> None:
    assert "'no-such-python' is not Python 3.11 or newer" in make(machine, "install", PYTHON="no-such-python").stderr


@pytest.mark.parametrize(
    ("variables", "command"),
    [
        ([], ".venv/bin/reviewbot demo"),
        (["REPO=a b", "RANGE=x..y"], ".venv/bin/reviewbot demo --repo 'a b' --range 'x..y'"),
        (["ONCE=1"], ".venv/bin/reviewbot demo --once"),
        (["ONCE=0"], ".venv/bin/reviewbot demo"),
    ],
)
def test_demo_hands_its_variables_to_the_command(machine: Path, variables: list[str], command: str) -> None:
    last = make(machine, "--just-print", "demo", *variables).stdout.splitlines()[-1]
    assert " ".join(last.split()) == command


def test_a_part_of_the_comparison_is_run_alone(machine: Path) -> None:
    last = make(machine, "--just-print", "bench-peers", "ONLY=logs growth", "QUICK=1").stdout.splitlines()[-1]
    assert last.split() == [".venv/bin/python", "-m", "tests.bench.beside", "--only", "logs", "growth", "--quick"]


def test_tests_run_last_so_that_their_closing_line_is_the_last(machine: Path) -> None:
    printed = make(machine, "--just-print", "test").stdout.splitlines()
    assert printed[-1].startswith(".venv/bin/pytest")
    for checker in ("ruff format --check", "ruff check", "mypy", "lint-imports"):
        assert any(line.startswith(f".venv/bin/{checker}") for line in printed)


def test_make_alone_lists_every_target(machine: Path) -> None:
    text = (ROOT / "Makefile").read_text()
    (targets,) = (line.split()[1:] for line in text.splitlines() if line.startswith(".PHONY:"))
    listed = [line.split()[1] for line in make(machine).stdout.splitlines()]
    assert listed == targets
