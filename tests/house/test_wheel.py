"""The wheel that is shipped holds all of the packages and nothing else, and works where it is installed."""

from __future__ import annotations

import email.parser
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from email.message import Message
from pathlib import Path

import pytest

from tests.house.tree import PACKAGES, ROOT, files_of_packages, read

pytestmark = pytest.mark.xdist_group("wheel")

IMPORT_ALL = """
import importlib, pkgutil
for name in {packages!r}:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    print(package.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder), cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh virtual environment with the wheel in it; the dependencies are those of this one."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    run(
        sys.executable, "-m", "pip", "--python", str(python), "install", "--no-index", "--no-deps", str(wheel), cwd=home
    )
    (site,) = home.glob("lib/python*/site-packages")
    # A folder that a .pth file names is searched, but its own .pth files (our editable install) are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def metadata_of(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.parser.Parser().parsestr(archive.read(name).decode())


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    shipped = {name for name in names(wheel) if ".dist-info/" not in name}
    assert shipped == set(files_of_packages())


@pytest.mark.parametrize(
    ("folder", "suffix"), [("schema/", ".sql"), ("projections/", ".sql"), ("reviewbot/prompts/", ".md")]
)
def test_what_is_not_python_is_in_the_wheel(wheel: Path, folder: str, suffix: str) -> None:
    assert [name for name in names(wheel) if name.startswith(folder) and name.endswith(suffix)]


def test_the_metadata_says_what_pyproject_says(wheel: Path) -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    said = metadata_of(wheel)
    assert (said["Name"], said["Version"]) == (project["name"], project["version"])
    assert (said["Summary"], said["Requires-Python"]) == (project["description"], project["requires-python"])
    assert (said["License-Expression"], said.get_all("License-File")) == ("MIT", ["LICENSE"])
    assert said.get_payload() == read("README.md")
    required = [line for line in said.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert len(required) == len(project["dependencies"])


def test_every_module_of_the_installed_wheel_can_be_imported_from_elsewhere(installed: Path, tmp_path: Path) -> None:
    where = run(str(installed / "python"), "-c", IMPORT_ALL.format(packages=PACKAGES), cwd=tmp_path).split()
    assert len(where) == len(PACKAGES)
    assert all(Path(path).is_relative_to(installed.parent) for path in where)


def test_the_installed_command_answers(installed: Path, tmp_path: Path) -> None:
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert version in run(str(installed / "reviewbot"), "--version", cwd=tmp_path)
    assert "serve" in run(str(installed / "reviewbot"), "--help", cwd=tmp_path)
