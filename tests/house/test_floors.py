"""The floors hold, and each contract is seen to refuse an import that breaks it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT, files_of_packages

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")

# What is appended to one module of a copy, and the sentence in which one of the contracts must refuse it.
BROKEN = {
    "Three floors": ("schema/__init__.py", "import projections", "schema is not allowed to import projections"),
    "Inside reviewbot": (
        "reviewbot/errors.py",
        "import reviewbot.llm.base",
        "reviewbot.errors is not allowed to import reviewbot.llm",
    ),
    "Providers": (
        "reviewbot/llm/openai.py",
        "import reviewbot.llm.anthropic",
        "reviewbot.llm.openai is not allowed to import reviewbot.llm.anthropic",
    ),
    "Projections": (
        "projections/jobs/__init__.py",
        "import projections.catalog",
        "projections.jobs is not allowed to import projections.catalog",
    ),
    "Purity": ("reviewbot/diff/model.py", "import socket", "reviewbot.diff is not allowed to import socket"),
}


def test_the_floors_hold() -> None:
    run = lint_imports(ROOT)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What lint-imports says of a copy of this repository in which every contract is broken once."""
    twin = tmp_path_factory.mktemp("twin")
    for path in ("pyproject.toml", *(path for path in files_of_packages() if path.endswith(".py"))):
        (twin / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, twin / path)
    for path, line, _ in BROKEN.values():
        with (twin / path).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    run = lint_imports(twin)
    assert run.returncode == 1, run.stdout + run.stderr
    return run.stdout


@pytest.mark.xdist_group("broken floors")
@pytest.mark.parametrize("contract", BROKEN)
def test_an_import_that_breaks_a_contract_is_refused(contract: str, broken: str) -> None:
    assert BROKEN[contract][2] in broken


@pytest.mark.xdist_group("broken floors")
def test_every_contract_has_its_broken_twin(broken: str) -> None:
    assert re.search(rf"^Contracts: 0 kept, {len(BROKEN)} broken\.$", broken, re.MULTILINE), broken


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    # Without the cache: it lies in the working folder, which a run beside this one may be writing.
    return subprocess.run(
        [LINT_IMPORTS, "--no-logo", "--no-cache"], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
