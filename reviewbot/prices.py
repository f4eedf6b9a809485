"""What a model call cost in US dollars: by the operator's own prices, else by the table of the library genai-prices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation

import msgspec

FREE = ("rules",)  # providers that run in our own process
LISTED = ("openai", "anthropic", "google")  # the table calls them as we do; behind a compatible address may be anybody
OWN_TABLE = "MODEL_PRICES"  # as it is recorded
HIGHEST = Decimal(1_000_000)  # dollars per million tokens
MILLION = Decimal(1_000_000)


class BadPrices(ValueError):
    """The operator's prices cannot be read; the message says which, and goes on after the variable's name."""


class Rate(msgspec.Struct, frozen=True):
    """The operator's own price of a model, in dollars per million tokens; cached tokens cost what others do."""

    model: str
    input_usd: Decimal
    output_usd: Decimal


class Cost(msgspec.Struct, frozen=True):
    """What a call cost. `usd` None: no price of the model is known. `table`: the prices that were looked into."""

    usd: Decimal | None
    table: str


def parse_rates(text: str) -> tuple[Rate, ...]:
    """Prices written as MODEL=INPUT/OUTPUT;... in dollars per million tokens. Raises BadPrices."""
    rates = []
    for entry in filter(None, map(str.strip, text.split(";"))):
        model, _, prices = entry.rpartition("=")
        try:
            input_usd, output_usd = (Decimal(each.strip()) for each in prices.split("/"))
        except (InvalidOperation, ValueError):
            raise BadPrices(
                f"holds {entry[:80]!r}, which is not MODEL=INPUT/OUTPUT, such as my-model=0.5/1.5"
            ) from None
        if not model.strip():
            raise BadPrices(f"holds {entry[:80]!r}, which names no model")
        for usd in (input_usd, output_usd):
            if not (usd.is_finite() and 0 <= usd <= HIGHEST):
                raise BadPrices(f"holds {entry[:80]!r}: a price lies between 0 and {HIGHEST:,} dollars")
        rates.append(Rate(model.strip(), input_usd, output_usd))
    return tuple(rates)


def cost(
    provider: str,
    models: Sequence[str],
    *,
    input_tokens: int,
    output_tokens: int,
    cached_input_tokens: int,
    at: datetime,
    own: Sequence[Rate] = (),
) -> Cost:
    """What one call cost by the prices of that time. `input_tokens` includes the cached ones.

    `models` are the names that the model goes by, the best one first: what a provider reports is often more exact than
    what it was asked for, but not always known.
    """
    if provider in FREE:
        return Cost(Decimal(0), "none")
    for rate in own:
        if rate.model in models:
            return Cost((rate.input_usd * input_tokens + rate.output_usd * output_tokens) / MILLION, OWN_TABLE)
    # Loaded when it is first needed: 35 ms and 4 MB, and many processes never ask.
    import genai_prices

    table = f"genai-prices {genai_prices.__version__}"
    if provider not in LISTED:
        return Cost(None, table)
    usage = genai_prices.Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=min(cached_input_tokens, input_tokens),
    )
    for model in models:
        try:
            found = genai_prices.calc_price(usage, model, provider_id=provider, genai_request_timestamp=at)
        except LookupError:
            continue
        return Cost(found.total_price, table)
    return Cost(None, table)


def known(provider: str, model: str, at: datetime, own: Sequence[Rate] = ()) -> bool:
    """Whether a price of the model is known."""
    return (
        cost(provider, [model], input_tokens=1, output_tokens=1, cached_input_tokens=0, at=at, own=own).usd is not None
    )


def shown(usd: Decimal) -> str:
    """An amount for people: to the cent, or below that to two digits that count."""
    if usd == 0 or usd >= Decimal("0.01"):
        return f"${usd:,.2f}"
    return f"${usd:.{1 - usd.adjusted()}f}"
