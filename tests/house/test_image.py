"""The image, its compose file and the workflow, read as far as they can be without an engine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from reviewbot.variables import VARIABLES
from tests.house.tree import ROOT, read

HADOLINT = Path(sys.executable).with_name("hadolint")


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """(instruction, rest) in order, continued lines joined, comments left out."""
    lines = [line for line in dockerfile.splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [(word.upper(), rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


@pytest.fixture(scope="module")
def last_stage() -> dict[str, list[str]]:
    """The instructions of the stage that is shipped."""
    steps = instructions(read("Dockerfile"))
    start = max(number for number, (word, _) in enumerate(steps) if word == "FROM")
    stage: dict[str, list[str]] = {}
    for word, rest in steps[start:]:
        stage.setdefault(word, []).append(rest)
    return stage


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """What `docker compose up` starts; a service with a profile is run by hand."""
    return {name: service for name, service in every_service().items() if "profiles" not in service}


def every_service() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load(read("ops/compose.yml"))["services"]
    return services


def hadolint(dockerfile: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HADOLINT, "--no-color", "-"], input=dockerfile, capture_output=True, text=True, check=False)


def test_hadolint_has_nothing_to_say() -> None:
    checked = hadolint(read("Dockerfile"))
    assert checked.returncode == 0, checked.stdout


def test_hadolint_is_heard_when_it_has_something_to_say() -> None:
    checked = hadolint("FROM python:latest\nRUN cd /tmp\nCMD python x.py\n")
    assert checked.returncode == 1
    assert {"DL3007", "DL3003", "DL3025"} <= set(re.findall(r"DL\d+", checked.stdout))


def test_what_is_installed_was_checked_by_hash_and_comes_from_nowhere_else() -> None:
    installs = re.findall(r"pip [^&|;]*?(?:install|wheel|download) [^&\n]*", re.sub(r"\\\n", " ", read("Dockerfile")))
    download, *others = installs
    assert "--require-hashes" in download
    assert "requirements.lock" in download
    assert others
    assert all("--no-index" in command for command in others)


def test_the_last_stage_runs_as_a_fixed_user_and_installs_nothing(last_stage: dict[str, list[str]]) -> None:
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", last_stage["USER"][-1])
    assert not re.search(r"\b(apt|apt-get|pip|gcc|build-essential|curl)\b", " ".join(last_stage["RUN"]))
    assert all(rest.startswith("--from=build ") for rest in last_stage["COPY"])


def test_the_image_serves_on_3000_and_stops_on_sigterm(last_stage: dict[str, list[str]]) -> None:
    assert json.loads(last_stage["ENTRYPOINT"][0]) == ["reviewbot"]
    assert json.loads(last_stage["CMD"][0]) == ["serve"]
    assert last_stage["EXPOSE"] == ["3000"]
    assert last_stage["STOPSIGNAL"] == ["SIGTERM"]
    assert "PORT=3000" in last_stage["ENV"][0]


def test_the_image_needs_no_place_to_write(last_stage: dict[str, list[str]]) -> None:
    assert "PYTHONDONTWRITEBYTECODE=1" in last_stage["ENV"][0]
    assert "VOLUME" not in last_stage


@pytest.mark.parametrize("wanted", ["LICENSE", "README.md", "pyproject.toml", "reviewbot", "projections", "schema"])
def test_the_build_sees_what_the_wheel_is_made_of(wanted: str) -> None:
    assert f"!{wanted}" in read(".dockerignore").splitlines()


def test_the_build_sees_nothing_that_is_not_named() -> None:
    rules = [line for line in read(".dockerignore").splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert not any(word in rule for rule in rules for word in (".git", "tests", "ops", "env"))


def test_the_app_waits_until_its_database_answers(services: dict[str, Any]) -> None:
    assert services["app"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    check = services["postgres"]["healthcheck"]["test"]
    assert check[:2] == ["CMD", "pg_isready"]
    # Over the local socket it would already answer while the image is still setting the database up.
    assert "--host=127.0.0.1" in check


def test_the_database_is_of_the_one_major_version_and_keeps_its_data(services: dict[str, Any]) -> None:
    assert re.fullmatch(r"postgres:18(\.\d+)?(-\w+)?", services["postgres"]["image"])
    # The folder that the image of 18 declares; mounting the older /var/lib/postgresql/data would lose everything.
    assert "postgres:/var/lib/postgresql" in services["postgres"]["volumes"]
    assert "ports" not in services["postgres"]


def test_every_service_comes_back_and_has_time_to_stop(services: dict[str, Any]) -> None:
    for service in services.values():
        assert service["restart"] == "unless-stopped"
        assert re.fullmatch(r"\d+s", service["stop_grace_period"])
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}


def test_running_reviews_may_end_before_the_app_is_killed(services: dict[str, Any]) -> None:
    (grace,) = (variable for variable in VARIABLES if variable.name == "STOP_GRACE_SECONDS")
    handing_back = 10  # seconds
    assert int(services["app"]["stop_grace_period"].removesuffix("s")) >= int(grace.default) + handing_back


def test_a_new_container_knows_its_dead_predecessor(services: dict[str, Any]) -> None:
    assert services["app"]["environment"]["INSTANCE"]


def test_the_app_can_write_nowhere_and_gain_no_rights(services: dict[str, Any]) -> None:
    app = services["app"]
    assert (app["read_only"], app["cap_drop"]) == (True, ["ALL"])
    assert app["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in app["ports"])


def test_key_and_checkpoints_outlive_the_container(services: dict[str, Any], last_stage: dict[str, list[str]]) -> None:
    (folder,) = re.findall(r"DATA_DIR=(\S+)", last_stage["ENV"][0])
    assert f"data:{folder}" in services["app"]["volumes"]
    # A volume takes its owner from the image's folder of that name.
    assert re.search(rf"install -d -o reviewbot -g reviewbot [^&]*{folder}", last_stage["RUN"][0])


def test_the_database_archives_with_scripts_that_are_there_and_its_drill_never_does(services: dict[str, Any]) -> None:
    command = services["postgres"]["command"]
    assert {"archive_mode=on", "archive_timeout=60"} <= set(command)
    (archive,) = re.findall(r'archive_command=(\S+) /backup "%p" %f', " ".join(command))
    for service in (services["postgres"], every_service()["scratch"]):
        assert "./backup:/opt/reviewbot/backup:ro" in service["volumes"]
    assert (ROOT / "ops/backup" / archive.rpartition("/")[2]).stat().st_mode & 0o111
    scratch = every_service()["scratch"]
    assert "archive_mode=off" in " ".join(scratch["command"])
    assert "${BACKUP_DIR:-backup}:/backup:ro" in scratch["volumes"]
    drill = every_service()["drill"]
    assert "@scratch:5432/" in drill["environment"]["DATABASE_URL"]
    assert drill["volumes"] == ["data:/var/lib/reviewbot:ro"]


def test_secrets_come_from_a_file_that_is_never_committed(services: dict[str, Any]) -> None:
    assert services["app"]["env_file"] == ".env"
    assert ".env" in read(".gitignore").splitlines()
    for service in every_service().values():
        for name, value in service["environment"].items():
            assert not re.search("SECRET|KEY|TOKEN", name)
            assert "PASSWORD" not in name or value.startswith("${"), f"{name} is written out"


def test_the_example_of_that_file_names_what_compose_asks_for() -> None:
    example = read("ops/env.example")
    asked = set(re.findall(r"\$\{(\w+)", read("ops/compose.yml")))
    assert {name for name in asked if not re.search(rf"^#?{name}=", example, re.MULTILINE)} == set()
    assert not re.search(r"^(?!#)\w*(KEY|SECRET|PASSWORD)\w*=.", example, re.MULTILINE), "holds a secret"


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    workflow: dict[str, Any] = yaml.safe_load(read(".github/workflows/ci.yml"))
    return workflow


def test_the_workflow_runs_the_same_script_as_everybody(workflow: dict[str, Any]) -> None:
    steps = workflow["jobs"]["test"]["steps"]
    assert steps[-1] == {"run": ".ci/run"}
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in script.read_text()


def test_the_workflow_may_only_read_and_takes_actions_by_commit(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in used)


def test_the_workflow_starts_at_the_oldest_python_that_is_promised(workflow: dict[str, Any]) -> None:
    versions = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    promised = tomllib.loads(read("pyproject.toml"))["project"]["requires-python"]
    assert promised == f">={versions[0]}"
    assert versions == ["3.11", "3.12", "3.13", "3.14"]
