"""The runbook can be relied on: its SQL runs on the database as it is, and its log lines are those of the code."""

from __future__ import annotations

import re

import asyncpg

from reviewbot.errors import FinalError, ReviewBotError
from reviewbot.worker import _code
from schema.database import connect
from tests.house.tree import files_of_packages, read

RUNBOOK = read("ops/runbook.md")


def statements() -> list[str]:
    blocks = re.findall(r"^```sql\n(.*?)^```", RUNBOOK, re.DOTALL | re.MULTILINE)
    without_comments = re.sub(r"^--.*$", "", "\n".join(blocks), flags=re.MULTILINE)
    return [text for part in without_comments.split(";") if (text := part.strip())]


def first_cells(header: str) -> list[str]:
    """The code spans in the first column of a table."""
    rows = RUNBOOK.partition(header + "\n")[2].partition("\n\n")[0].splitlines()[1:]
    return [span for row in rows for span in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def errors(kind: type[ReviewBotError]) -> list[type[ReviewBotError]]:
    return [each for below in kind.__subclasses__() for each in (below, *errors(below))]


async def test_every_statement_of_the_runbook_runs(database: str) -> None:
    connection = await connect(database)
    try:
        for statement in statements():
            await connection.execute(statement)
    finally:
        await connection.close()
    assert len(statements()) > 10


async def test_the_service_itself_may_not_delete_what_the_owner_may(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    refused = []
    for statement in statements():
        if statement.startswith("delete"):
            try:
                await pool.execute(statement)
            except asyncpg.InsufficientPrivilegeError:
                refused.append(statement)
    assert len(refused) == 4


def test_every_log_line_of_the_runbook_is_written_somewhere() -> None:
    source = "\n".join(read(path) for path in files_of_packages() if path.endswith(".py"))
    lines = first_cells("| `event` | What it means |")
    assert [line for line in lines if f'"{line}"' not in source] == []
    assert len(lines) > 10


def test_every_reason_of_a_refused_delivery_is_explained() -> None:
    source = read("reviewbot/intake.py")
    raised = set(re.findall(r'Refused\(\d{3}, "(\w+)"', source))
    assert raised
    assert set(first_cells("| `reason` | What it means |")) == raised


def test_every_code_of_a_failed_review_is_explained() -> None:
    told = set(first_cells("| Code | Do |"))
    known = {_code(kind()) for kind in errors(ReviewBotError) if kind.__module__ == "reviewbot.errors"}
    in_worker = set(re.findall(r'"(deadline|worker_lost|database|internal)"', read("reviewbot/worker.py")))
    assert len(in_worker) == 4
    assert told <= in_worker | known
    final = {_code(kind()) for kind in errors(FinalError) if kind.__module__ == "reviewbot.errors"}
    assert final - told == {"config_error"}  # only at the start
