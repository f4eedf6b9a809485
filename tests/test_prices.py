"""What a call costs: by the operator's prices first, by the library's table of that day else, and never by a guess."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from reviewbot.llm.catalog import PROVIDERS
from reviewbot.prices import FREE, LISTED, BadPrices, Cost, Rate, cost, known, parse_rates, shown

DAY = datetime(2026, 11, 1, tzinfo=UTC)
OWN = parse_rates("house/coder:7b=0.5/1.5; gpt-5 = 1/2")


def priced(provider: str, *models: str, **changes: Any) -> Cost:
    tokens = {"input_tokens": 100_000, "output_tokens": 1_000, "cached_input_tokens": 0}
    return cost(provider, models, **({"at": DAY, "own": OWN} | tokens | changes))


def test_every_provider_is_listed_free_or_behind_an_address_that_may_be_anybodys() -> None:
    assert {entry.name for entry in PROVIDERS} == {*LISTED, *FREE, "openai-compatible"}


def test_the_default_model_of_every_vendor_has_a_price() -> None:
    models = [(entry.name, entry.default_model) for entry in PROVIDERS if entry.name in LISTED]
    assert [model for model in models if not known(*model, DAY)] == []


def test_a_vendors_model_costs_what_its_list_says_and_cached_tokens_less() -> None:
    # list prices of GPT-5: 1.25 dollars in, 0.125 cached, 10 out, for a million tokens
    assert priced("openai", "gpt-5", own=()).usd == Decimal("0.135")
    assert priced("openai", "gpt-5", own=(), cached_input_tokens=80_000).usd == Decimal("0.045")


def test_a_price_is_that_of_the_day_of_the_call() -> None:
    # o3 cost 10 dollars in and 40 out, and a fifth of it from 10 June 2025 on
    before, after = (priced("openai", "o3", at=datetime(2025, 6, day, 12, tzinfo=UTC), own=()).usd for day in (1, 20))
    assert (before, after) == (Decimal("1.04"), Decimal("0.208"))


def test_more_cached_tokens_than_tokens_do_not_break_it() -> None:
    assert priced("openai", "gpt-5", own=(), input_tokens=10, cached_input_tokens=99).usd is not None


def test_the_operators_price_comes_first_for_any_provider() -> None:
    assert priced("openai", "gpt-5") == Cost(Decimal("0.102"), "MODEL_PRICES")
    assert priced("openai-compatible", "house/coder:7b") == Cost(Decimal("0.0515"), "MODEL_PRICES")


def test_a_model_goes_by_any_of_its_names() -> None:
    assert priced("openai", "gpt-5-of-tomorrow", "gpt-5").usd == Decimal("0.102")


@pytest.mark.parametrize(("provider", "model"), [("openai", "nobody-knows"), ("openai-compatible", "gpt-5")])
def test_what_nobody_knows_has_no_price_but_says_where_it_was_looked_for(provider: str, model: str) -> None:
    found = priced(provider, model, own=())
    assert found.usd is None
    assert found.table.startswith("genai-prices ")


def test_the_offline_rules_cost_nothing() -> None:
    assert priced("rules", "rules").usd == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gpt-5", "'gpt-5', which is not MODEL=INPUT/OUTPUT"),
        ("a=1/2;b=1", "'b=1', which is not"),
        ("a=1/2/3", "'a=1/2/3', which is not"),
        ("a=one/two", "'a=one/two', which is not"),
        ("=1/2", "names no model"),
        ("a=-1/2", "between 0 and 1,000,000 dollars"),
        ("a=1/nan", "between 0 and 1,000,000 dollars"),
        ("a=1/1e99", "between 0 and 1,000,000 dollars"),
    ],
)
def test_prices_that_cannot_be_read_are_named(text: str, said: str) -> None:
    with pytest.raises(BadPrices, match=r"^holds ") as caught:
        parse_rates(text)
    assert said in str(caught.value)


def test_no_prices_are_no_fault() -> None:
    assert parse_rates(" ; ") == ()
    assert parse_rates("m=0/0") == (Rate("m", Decimal(0), Decimal(0)),)


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("0", "$0.00"),
        ("1234.5", "$1,234.50"),
        ("0.01", "$0.01"),
        ("0.0012345", "$0.0012"),
        ("0.00000093", "$0.00000093"),
    ],
)
def test_an_amount_for_people_is_short_and_never_nothing_by_rounding(usd: str, text: str) -> None:
    assert shown(Decimal(usd)) == text
