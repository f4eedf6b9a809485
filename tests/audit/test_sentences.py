"""Each event in plain words."""

from __future__ import annotations

import re
from decimal import Decimal
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest

from reviewbot.audit.sentences import sentence
from schema import events as e
from schema.codec import Recorded, encode
from tests.helpers import START, meta, requested


def said(fact: e.Fact) -> str:
    about = meta()
    return sentence(
        Recorded(1, about.correlation, 1, fact.TOPIC, encode(fact), 42, None, "test", about.correlation, None, START)
    )


def example(kind: type[Any]) -> Any:
    """A fact of that kind with something in every field."""
    values: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        if name in ("TOPIC", "VERSION"):
            continue
        if isinstance(hint, UnionType):
            hint = get_args(hint)[0]
        values[name] = _value(name, hint)
    return kind(**values)


def _value(name: str, hint: Any) -> object:
    literals = {
        "trigger": "opened",
        "finish": "complete",
        "conclusion": "neutral",
        "pause": "provider",
        "budget": "day",
    }
    if name in literals:
        return literals[name]
    if get_origin(hint) is tuple:
        return (_value("", get_args(hint)[0]),)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return example(hint)
    known = {int: 7, bool: True, str: "word", Decimal: Decimal("0.5"), type(START): START}
    return known.get(hint, meta().correlation)


@pytest.mark.parametrize("kind", e.FACTS, ids=lambda kind: kind.TOPIC)
def test_every_fact_has_a_sentence_of_its_own_in_plain_words(kind: type[e.Fact]) -> None:
    words = said(example(kind))
    assert words != kind.TOPIC
    assert "None" not in words
    assert not re.search(r"[A-Z][a-z]+[A-Z][a-z]+\(", words)
    assert len(words.splitlines()) == 1


def test_endings_and_retries_read_differently() -> None:
    assert said(e.ReviewFailed(code="c", reason="It broke.")) == "review failed for good (c): It broke."
    assert said(e.ReviewFailed(code="c", reason="It broke.", retry_at=START)) == (
        "attempt failed (c), next one at 00:00:00: It broke."
    )
    assert said(e.ReviewPosted(review_id=5, url="u", comments=2, found=True)).startswith(
        "review 5 found already posted"
    )
    assert said(requested(head_sha=None, trigger="comment")) == (
        "review of octo/hello#1 at the newest commit requested (comment)"
    )
