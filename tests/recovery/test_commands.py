"""`reviewbot deliveries recover`, as it is typed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from click.testing import CliRunner, Result

from reviewbot.cli import main
from tests.deliveries import APP_ID
from tests.helpers import ENCRYPTION_KEY
from tests.recovery.ground import Ground


async def recover(ground: Ground, database: str, *options: str) -> Result:
    """The command, in a thread with a loop of its own."""
    environment: dict[str, Any] = {
        "DATABASE_URL": database,
        "ENCRYPTION_KEY": ENCRYPTION_KEY,
        "GITHUB_APP_ID": str(APP_ID),
        "GITHUB_PRIVATE_KEY": ground.private_key,
        "GITHUB_API_URL": ground.api,
    }
    return await asyncio.to_thread(CliRunner(env=environment).invoke, main, ["deliveries", "recover", *options])


async def test_it_says_what_it_found_and_what_it_did(ground: Ground, database: str) -> None:
    ground.is_down()
    await ground.pings(1)
    ground.hears()
    found = await recover(ground, database)
    assert found.exit_code == 0, found.output
    assert found.stdout.splitlines() == [
        "1 attempts at deliveries compared with the inbox.",
        "1 deliveries had failed.",
        "1 deliveries asked for again: GitHub sends them to the webhook, so the service must run.",
        "1 repositories swept: 0 open heads, 0 reviews asked for, 0 left out for a reason.",
    ]
    await ground.standin.settle()
    again = await recover(ground, database, "--no-sweep")
    assert again.stdout.splitlines() == [
        "2 attempts at deliveries compared with the inbox.",
        "1 deliveries that had been missing have arrived.",
        "Nothing had to be asked for.",
    ]


async def test_githubs_limit_is_said_in_one_sentence_and_exits_with_3(ground: Ground, database: str) -> None:
    ground.standin.trouble("GET /app/hook/deliveries", "secondary-limit", retry_after=60)
    limited = await recover(ground, database)
    assert (limited.exit_code, "Traceback" in limited.output) == (3, False)
    assert "rate limit" in limited.stderr


async def test_it_waits_for_another_process_to_get_done(ground: Ground, database: str) -> None:
    async with ground.recoverer().recovery.lease() as held:
        assert held
        running = asyncio.create_task(recover(ground, database, "--no-sweep"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(running), 1.5)
    assert (await running).exit_code == 0
