"""requirements.lock pins everything by hash, names no address, covers pyproject.toml, and is what is installed."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from importlib import metadata

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import PACKAGES, read

PIN = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[\w.+!]+)( ; (?P<marker>[^\\]+?))?(?P<hashes>( --hash=sha256:[0-9a-f]{64})+)"
)
# What makes a virtual environment, and what `make lock` adds to it; the project itself.
NOT_LOCKED = {"pip", "setuptools", "uv", "reviewbot"}


@dataclass(frozen=True)
class Pin:
    name: str
    version: str
    marker: str | None

    @property
    def wanted_here(self) -> bool:
        return self.marker is None or Marker(self.marker).evaluate()


def parse(lock: str) -> list[Pin]:
    """Every pin of a lock; ValueError for anything that is not exactly one version with its hashes."""
    pins = []
    for line in re.sub(r"\s*\\\n\s*", " ", lock).splitlines():
        found = PIN.fullmatch(line)
        if found is None:
            raise ValueError(f"not a pin with hashes: {line[:80]!r}")
        pins.append(Pin(found["name"], found["version"], found["marker"]))
    return pins


@pytest.fixture(scope="module")
def pins() -> list[Pin]:
    return parse(read("requirements.lock"))


def asked_for() -> list[Requirement]:
    """All that pyproject.toml asks for: to run, for the embedded database, to develop, and to build."""
    project = tomllib.loads(read("pyproject.toml"))
    extras = project["project"]["optional-dependencies"].values()
    groups = project["dependency-groups"].values()
    lists = [project["project"]["dependencies"], project["build-system"]["requires"], *extras, *groups]
    return [Requirement(text) for texts in lists for text in texts]


def test_every_line_is_a_pin_with_hashes(pins: list[Pin]) -> None:
    assert len(pins) > 50
    assert [name for name, times in Counter(pin.name for pin in pins).items() if times > 1] == []


@pytest.mark.parametrize(
    "line",
    [
        "aiohttp>=3.14 --hash=sha256:" + "0" * 64,
        "aiohttp==3.14.5",
        "aiohttp==3.14.5 --hash=md5:" + "0" * 32,
        "aiohttp @ https://example.org/aiohttp.whl --hash=sha256:" + "0" * 64,
        "--index-url https://example.org/simple",
        "--find-links wheels",
        "-e .",
        "# made by hand",
    ],
)
def test_a_line_that_is_not_a_pin_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a pin"):
        parse("yarl==1.25.1 \\\n    --hash=sha256:" + "0" * 64 + "\n" + line + "\n")


def test_the_lock_holds_all_that_pyproject_asks_for(pins: list[Pin]) -> None:
    versions = {pin.name: pin.version for pin in pins}
    for requirement in asked_for():
        pinned = versions.get(canonicalize_name(requirement.name))
        assert pinned is not None, f"{requirement} is not in requirements.lock: run `make lock`"
        assert requirement.specifier.contains(pinned), f"{requirement}, but {pinned} is pinned: run `make lock`"


def test_what_is_installed_is_what_the_lock_says(pins: list[Pin]) -> None:
    installed = {str(canonicalize_name(found.name)): found.version for found in metadata.distributions()}
    locked = {pin.name: pin.version for pin in pins if pin.wanted_here}
    assert {name: installed.get(name) for name in locked} == locked, "run `make install`"
    assert installed.keys() - locked.keys() <= NOT_LOCKED, (
        "not in pyproject.toml, or left over: run `make clean install`"
    )


def test_no_distribution_but_ours_brings_a_package_of_our_names() -> None:
    owners = metadata.packages_distributions()
    assert {owner for package in PACKAGES for owner in owners.get(package, ())} <= {"reviewbot"}
