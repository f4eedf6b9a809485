"""The command line: help that reads well, every fault at once, exit codes, and what an operator sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft4Validator

from reviewbot.cli import main
from tests.demo.hub import REPO
from tests.helpers import project
from tests.world import World

BAD = """
def load(path):
    try:
        return open(path).read()
    except:
        pass


def find(cursor, name):
    cursor.execute("select * from items where name = '%s'" % name)
"""


def every(command: click.Command, path: str = "") -> Iterator[str]:
    """The words that lead to a command and to all below it."""
    yield path
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from every(below, f"{path} {name}".strip())


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine that runs the tests is configured for is no concern of theirs."""
    for name in os.environ:
        if name.startswith(("GITHUB_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "DATABASE_URL", "PROVIDER", "LLM_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as people run it."""
    return subprocess.run(
        [sys.executable, "-m", "reviewbot", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a bad change staged."""
    folder = tmp_path / "repository"
    folder.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    (folder / "bad.py").write_text(BAD)
    subprocess.run(["git", "add", "bad.py"], cwd=folder, check=True)
    return folder


# --- help and configuration -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", list(every(main)))
def test_every_command_explains_itself_within_the_width(command: str) -> None:
    result = call(*command.split(), "--help")
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= 80
    listed = result.output.partition("\nCommands:\n")[2]
    assert "..." not in listed, "a sentence is cut off: give the command a short_help"
    usage, _, said = result.output.partition("\n\n")
    assert usage.startswith("Usage:")
    assert said.partition("\n\n")[0].rstrip().endswith(".")


def test_every_fault_of_the_configuration_is_named_at_once_without_a_secret() -> None:
    result = process("serve", GITHUB_APP_ID="x", PORT="abc", GITHUB_WEBHOOK_SECRET="short-secret")
    assert (result.returncode, result.stdout) == (2, "")
    for name in ("GITHUB_APP_ID", "PORT", "GITHUB_PRIVATE_KEY", "GITHUB_WEBHOOK_SECRET"):
        assert name in result.stderr
    assert "short-secret" not in result.stderr
    assert "Traceback" not in result.stderr


def test_the_list_of_variables_names_each_with_its_meaning() -> None:
    lines = call("config").output.splitlines()
    assert "GITHUB_APP_ID" in lines
    assert all(line.startswith("    ") for line in lines[1::2])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["standin", "--repo", "nonsense"], "owner/name=PATH"),
        (["rebuild", "nonsense"], "There are: jobs"),
        (["audit", "history", "nonsense"], "owner/repo#7"),
    ],
)
async def test_what_is_not_understood_is_said_with_what_would_be(
    database: str, arguments: list[str], words: str
) -> None:
    result = process(*arguments, DATABASE_URL=database)
    assert result.returncode == 2
    assert words in result.stderr


def test_a_database_that_does_not_answer_is_named() -> None:
    result = process("audit", "history", "acme/shop#1", DATABASE_URL="postgres://nobody@127.0.0.1:1/nothing")
    assert result.returncode == 2
    assert "DATABASE_URL" in result.stderr
    assert "Traceback" not in result.stderr


# --- review -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fail_on", "code"), [("critical", 1), ("high", 1), ("never", 0)])
def test_the_exit_code_says_whether_something_severe_was_found(repository: Path, fail_on: str, code: int) -> None:
    result = call("review", "--repo", str(repository), "--fail-on", fail_on)
    assert result.exit_code == code, result.output
    assert "bad.py:" in result.output


def test_a_clean_change_exits_with_zero(repository: Path) -> None:
    (repository / "bad.py").write_text("def add(one, two):\n    return one + two\n")
    subprocess.run(["git", "add", "bad.py"], cwd=repository, check=True)
    result = call("review", "--repo", str(repository))
    assert (result.exit_code, "0 findings" in result.output) == (0, True)


def test_the_formats_for_programs_hold_nothing_but_themselves(repository: Path) -> None:
    schema = json.loads((Path(__file__).parent / "samples" / "sarif" / "sarif-2.1.0.json").read_text())
    log = json.loads(process("review", "--repo", str(repository), "--format", "sarif").stdout)
    Draft4Validator(schema).validate(log)
    found = json.loads(process("review", "--repo", str(repository), "--format", "json").stdout)
    assert len(found["verdict"]["located"]) == len(log["runs"][0]["results"]) > 0


def test_a_folder_without_a_repository_fails_in_one_sentence(tmp_path: Path) -> None:
    result = process("review", "--repo", str(tmp_path))
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.startswith("Error: not a git repository")
    assert len(result.stderr.splitlines()) == 1


# --- audit ------------------------------------------------------------------------------------------------------------


async def test_the_history_of_a_pull_request_is_told_line_by_line_from_request_to_completion(
    world: World, database: str
) -> None:
    job = await world.request()
    story = world.story(await world.claim())
    await story.load()
    await world.steps().review(story)
    await project(world.pool)
    by_pull = process("audit", "history", f"{REPO}#1", DATABASE_URL=database)
    by_job = process("audit", "history", str(job), DATABASE_URL=database)
    assert (by_pull.returncode, by_pull.stdout) == (0, by_job.stdout)
    lines = by_pull.stdout.partition("\n\n")[0].splitlines()[1:]
    assert len(lines) == len(await world.told(job))
    assert f"review of {REPO}#1" in lines[0]
    assert "github " in lines[0]
    assert lines[-1].endswith("review completed: 1 finding, neutral")


# --- demo -------------------------------------------------------------------------------------------------------------


def test_the_demo_ends_with_a_posted_review_and_its_inline_comments(repository: Path) -> None:
    identity = {f"GIT_{who}_{what}": "ada@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **identity}
    commit = ["git", "commit", "--quiet", "--message"]
    subprocess.run(["git", "rm", "--cached", "--quiet", "bad.py"], cwd=repository, check=True)
    subprocess.run([*commit, "Start", "--allow-empty"], cwd=repository, env=environment, check=True)
    subprocess.run(["git", "add", "bad.py"], cwd=repository, check=True)
    subprocess.run([*commit, "Load and find"], cwd=repository, env=environment, check=True)
    result = process("demo", "--once", "--repo", str(repository))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Pull request: Load and find" in result.stdout
    assert "Review posted" in result.stdout
    assert "bad.py, line" in result.stdout
    assert "completed, neutral" in result.stdout


def test_a_demo_of_one_commit_says_what_to_do(repository: Path) -> None:
    result = process("demo", "--once", "--repo", str(repository), "--range", "nonsense")
    assert result.returncode == 3
    assert "is no range" in result.stderr
