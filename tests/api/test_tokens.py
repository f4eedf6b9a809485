"""Tokens: shown once, kept as a digest, recognised until they expire or are revoked, and on record in the log."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TypeAlias

import asyncpg
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from projections.catalog import ALL
from reviewbot.api import tokens
from reviewbot.api.tokens import TokenError, TokenRefused
from reviewbot.cli import main
from schema import events as e
from schema.log import Log
from tests.helpers import project

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


async def everything(pool: Pool) -> str:
    """All that the database holds, as text."""
    tables = await pool.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
    )
    readable = [name for (name,) in tables if name != "migration"]
    return "\n".join([str(row[0]) for name in readable for row in await pool.fetch(f"select t::text from {name} t")])


async def test_a_token_opens_the_api_and_stands_nowhere_in_the_database(pool: Pool) -> None:
    token = await tokens.create(pool, "grafana")
    assert await tokens.check(pool, token) == "grafana"
    text = await everything(pool)
    assert tokens.digest(token).hex() in text
    assert token not in text
    assert token[4:-6] not in text
    assert token.encode().hex() not in text


async def test_making_and_revoking_are_facts_that_the_projections_pass_over(pool: Pool, log: Log) -> None:
    await tokens.create(pool, "a", timedelta(days=90))
    await tokens.create(pool, "b")
    await tokens.revoke(pool, "a")
    made, other, revoked = await log.read_after(0)
    (b,) = await tokens.list_all(pool)
    assert (made.stream, made.version, revoked.version, made.actor) == (revoked.stream, 1, 2, "operator")
    assert isinstance(made.fact, e.TokenCreated)
    assert made.fact.expires_at is not None
    assert abs(made.fact.expires_at - made.recorded_at - timedelta(days=90)) < timedelta(minutes=1)
    assert (other.fact, revoked.fact) == (e.TokenCreated(name="b"), e.TokenRevoked(name="a"))
    assert b.name == "b"
    assert await project(pool) == 3 * len(ALL)


async def test_a_revoked_token_is_refused_at_once_and_its_name_is_free_again(pool: Pool) -> None:
    old = await tokens.create(pool, "ci")
    await tokens.revoke(pool, "ci")
    with pytest.raises(TokenRefused, match="not known"):
        await tokens.check(pool, old)
    new = await tokens.create(pool, "ci")
    assert await tokens.check(pool, new) == "ci"
    with pytest.raises(TokenRefused):
        await tokens.check(pool, old)


async def test_an_expired_token_is_refused_and_not_counted_as_used(pool: Pool) -> None:
    token = await tokens.create(pool, "brief", timedelta(milliseconds=1))
    await asyncio.sleep(0.01)
    with pytest.raises(TokenRefused, match="expired"):
        await tokens.check(pool, token)
    (listed,) = await tokens.list_all(pool)
    assert (listed.expired, listed.last_used_at) == (True, None)


async def test_the_last_use_is_written_at_most_once_a_minute(pool: Pool, database: str) -> None:
    token = await tokens.create(pool, "often")
    uses = []
    for _ in range(3):
        await tokens.check(pool, token)
        (listed,) = await tokens.list_all(pool)
        uses.append(listed.last_used_at)
    assert uses[0] is not None
    assert len(set(uses)) == 1
    await pool.execute("update api_token set last_used_at = now() - interval '61 seconds'")
    await tokens.check(pool, token)
    (listed,) = await tokens.list_all(pool)
    assert listed.last_used_at is not None
    assert listed.last_used_at >= uses[0]


async def test_a_name_is_taken_once_even_when_two_ask_at_the_same_time(pool: Pool, log: Log) -> None:
    made = await asyncio.gather(*(tokens.create(pool, "one") for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(each, TokenError) for each in made) == 3
    assert len(await log.read_after(0)) == 1, "a refused one leaves no trace"


@pytest.mark.parametrize("name", ["", " ", "a ", "a\nb", "a\0b", "x" * 101, "\u202e"])
async def test_a_name_that_cannot_be_read_is_refused(pool: Pool, name: str) -> None:
    with pytest.raises(TokenError, match="is no name for a token"):
        await tokens.create(pool, name)


async def test_revoking_what_is_not_there_changes_nothing(pool: Pool, log: Log) -> None:
    with pytest.raises(TokenError, match="no token named 'nobody'"):
        await tokens.revoke(pool, "nobody")
    assert await log.read_after(0) == []


@given(st.integers(0, 52), st.characters(exclude_categories=["Cs"]))
def test_a_token_with_one_letter_changed_is_none(place: int, letter: str) -> None:
    token = tokens.new_token()
    changed = token[:place] + letter + token[place + 1 :]
    assert len(token) == 53
    assert tokens.is_well_formed(token)
    assert tokens.is_well_formed(changed) == (changed == token)


@pytest.mark.parametrize("text", ["", "rbt_", "rbt_" + "0" * 49, "ghp_" + "0" * 49, "rbt_" + "é" * 49, "rbt_\udcff"])
def test_what_only_looks_like_a_token_is_none(text: str) -> None:
    assert not tokens.is_well_formed(text)


async def call(*arguments: str) -> tuple[int, str, str]:
    result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    return result.exit_code, result.stdout, result.stderr


async def test_the_command_line_makes_lists_and_revokes(
    database: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    code, token, note = await call("tokens", "create", "grafana", "--expires", "2w")
    assert (code, await tokens.check(pool, token.strip())) == (0, "grafana")
    assert "once" in note
    code, listed, _ = await call("tokens", "list")
    assert code == 0
    assert listed.startswith("grafana  made 20")
    assert token.strip() not in listed
    assert (await call("tokens", "create", "grafana"))[0::2] == (
        2, "There is a token named 'grafana' already: revoke it first, or take another name.\n",
    )  # fmt: skip
    assert (await call("tokens", "revoke", "grafana"))[0] == 0
    assert (await call("tokens", "revoke", "grafana"))[0] == 2
    assert "There are no tokens" in (await call("tokens", "list"))[1]


@pytest.mark.parametrize("life", ["0d", "90", "d", "-1d", "99999w", "1y", "1 d"])
async def test_a_life_that_is_none_is_explained_before_anything_is_opened(life: str) -> None:
    code, _, said = await call("tokens", "create", "x", "--expires", life)
    assert code == 2
    assert "write 12h, 90d or 52w" in said
