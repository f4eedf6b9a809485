"""What is imported is asked for by name, and what is asked for is imported: nothing leans on its neighbours."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import PACKAGES, files, read

OURS = {*PACKAGES, "tests"}
# Other people's code, and the scripts that `make bench-peers` runs with packages of their own.
PEERS = "tests/bench/peers/"
NOT_OURS_TO_RUN = ("tests/samples/", PEERS)
# Asked for so that another one works, never imported by name.
NEVER_IMPORTED: set[str] = set()


def imported(source: str) -> Iterator[str]:
    """The top-level names of other people's packages that a module imports, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        else:
            continue
        yield from ({name.split(".")[0] for name in names} - sys.stdlib_module_names - OURS)


@cache
def distributions_by_package() -> dict[str, set[str]]:
    """Which installed distributions bring a top-level package: {"google": {"google-auth", "google-genai"}, ...}."""
    return {
        package: {str(canonicalize_name(owner)) for owner in owners}
        for package, owners in metadata.packages_distributions().items()
    }


def imported_in(*folders: str) -> dict[str, str]:
    """Package -> one file that imports it."""
    paths = [path for path in files() if path.endswith(".py") and path.split("/")[0] in folders]
    kept = (path for path in paths if not path.startswith(NOT_OURS_TO_RUN))
    return {package: path for path in kept for package in imported(read(path))}


def project() -> dict[str, Any]:
    return tomllib.loads(read("pyproject.toml"))


def names(requirements: Iterable[str]) -> set[str]:
    return {str(canonicalize_name(Requirement(text).name)) for text in requirements}


def to_run() -> set[str]:
    asked = project()["project"]
    extras = (text for extra in asked["optional-dependencies"].values() for text in extra)
    return names(asked["dependencies"]) | names(extras)


def not_asked_for(packages: dict[str, str], asked: set[str]) -> dict[str, str]:
    owners = distributions_by_package()
    return {package: path for package, path in packages.items() if not owners.get(package, set()) & asked}


def test_what_the_packages_import_is_asked_for_by_name() -> None:
    assert not_asked_for(imported_in(*PACKAGES), to_run()) == {}


def test_what_the_tests_import_is_asked_for_by_name() -> None:
    assert not_asked_for(imported_in("tests"), to_run() | names(project()["dependency-groups"]["dev"])) == {}


def test_what_the_peers_of_the_benchmark_import_is_pinned_beside_them_or_comes_with_us() -> None:
    beside = [path for path in files() if path.startswith(PEERS) and path.endswith(".py")]
    siblings = {path.removeprefix(PEERS).removesuffix(".py") for path in beside}
    pinned = [line for line in read(PEERS + "requirements.txt").splitlines() if not line.startswith("#")]
    assert all("==" in line for line in pinned)
    packages = {package for path in beside for package in imported(read(path))}
    assert packages - siblings <= {name.replace("-", "_") for name in names(pinned)} | {"aiohttp"}


def test_what_is_asked_for_to_run_is_imported() -> None:
    owners = distributions_by_package()
    used = {owner for package in imported_in(*PACKAGES) for owner in owners.get(package, set())}
    assert to_run() - used == NEVER_IMPORTED


def test_an_import_that_leans_on_a_neighbour_is_found() -> None:
    source = "import os\nimport yarl, reviewbot.errors\nfrom . import x\ndef f():\n    from multidict.sub import y\n"
    packages = dict.fromkeys(imported(source), "a.py")
    assert not_asked_for(packages, {"aiohttp", "yarl"}) == {"multidict": "a.py"}
