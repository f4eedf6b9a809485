"""Facts and their stored bytes: what goes in comes out, under names that never change."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from eventsourcing.persistence import MapperDeserialisationError, StoredEvent
from hypothesis import given
from hypothesis import strategies as st

from schema import codec, upcasts
from schema.codec import FactMapper, Happened, decode, encode
from schema.events import BY_TOPIC, FACTS, Fact, ReviewSkipped
from schema.upcasts import upcast

FOR_EVER = (
    "ReviewRequested", "ReviewStarted", "HeadResolved", "ChangesGathered", "ModelAsked", "AnswerReceived",
    "ModelCallFailed", "ReviewPrepared", "ReviewPosted", "ReviewCompleted", "ReviewFailed", "ReviewReleased",
    "ReviewSuperseded", "ReviewCancelled", "ReviewSkipped", "CheckRunCreated", "CheckRunConcluded",
    "PullRequestClosed", "PullRequestDrafted", "RepositoryRenamed", "InstallationCreated", "InstallationDeleted",
    "InstallationSuspended", "InstallationUnsuspended", "PermissionsAccepted", "RepositoriesChanged",
    "DeliveryIgnored", "DeliveryParked", "DeliveryMissed", "DeliveryLost", "IntakeGap", "HeadLeftOut",
    "TokenCreated", "TokenRevoked",
    "InstallationErased", "SettingsRead", "InstallationResumed",
)  # fmt: skip

# What Postgres and JSON both hold: no U+0000, no lone surrogates, times with a zone.
st.register_type_strategy(str, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))
st.register_type_strategy(Decimal, st.decimals(allow_nan=False, allow_infinity=False))
st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))


def facts(kind: type[Fact]) -> st.SearchStrategy[Fact]:
    types = {field.name: field.type for field in msgspec.structs.fields(kind)}
    return st.fixed_dictionaries({name: st.from_type(of) for name, of in types.items()}).map(lambda it: kind(**it))


def test_every_name_that_was_ever_stored_is_still_known() -> None:
    assert set(FOR_EVER) <= set(BY_TOPIC)


def test_every_fact_is_stored_under_the_name_of_its_class_and_no_two_share_one() -> None:
    assert [fact.TOPIC for fact in FACTS] == [fact.__name__ for fact in FACTS]
    assert len(BY_TOPIC) == len(FACTS)


@given(st.sampled_from(FACTS).flatmap(facts))
def test_every_fact_comes_back_as_it_was(fact: Fact) -> None:
    data = encode(fact)
    assert decode(fact.TOPIC, data) == fact
    assert isinstance(json.loads(data), dict)


@given(st.sampled_from(FACTS).flatmap(facts), st.integers(1, 2**31 - 1))
def test_the_mapper_goes_both_ways(fact: Fact, version: int) -> None:
    happened = Happened(
        originator_id=uuid4(), originator_version=version, timestamp=datetime(2026, 1, 1, tzinfo=UTC), fact=fact
    )
    stored = FactMapper().to_stored_event(happened)
    assert stored == StoredEvent(happened.originator_id, version, fact.TOPIC, encode(fact))
    back = FactMapper().to_domain_event(stored)
    assert (back.originator_id, back.originator_version, back.fact) == (happened.originator_id, version, fact)


def test_a_nul_is_stored_as_a_replacement_character_and_a_written_escape_as_it_is() -> None:
    assert decode("ReviewSkipped", encode(ReviewSkipped(reason="a\0b"))) == ReviewSkipped(reason="a\ufffdb")
    assert decode("ReviewSkipped", encode(ReviewSkipped(reason="a\\u0000b"))) == ReviewSkipped(reason="a\\u0000b")


def test_a_nul_in_one_field_leaves_the_types_of_the_others() -> None:
    fact = BY_TOPIC["InstallationCreated"](
        installation=2**62, account_id=1, account="\0", at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert decode(fact.TOPIC, encode(fact)) == msgspec.structs.replace(fact, account="\ufffd")


@pytest.mark.parametrize(
    ("topic", "data", "complaint"),
    [
        ("ReviewForgotten", b"{}", "holds a ReviewForgotten, which this version"),
        ("ReviewCancelled", b'{"reason"', "stored ReviewCancelled cannot be read"),
        ("ReviewCancelled", b"{}", "reason"),
        ("ReviewCancelled", b'{"reason":1}', "reason"),
        ("ReviewCancelled", b'{"reason":' + b"[" * 100_000, "cannot be read"),
        ("ReviewStarted", b"", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(topic: str, data: bytes, complaint: str) -> None:
    with pytest.raises(MapperDeserialisationError, match=complaint):
        decode(topic, data)


class Renamed(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A fact in its third shape: `who` was `name` at first, and `loud` came later."""

    TOPIC = "Renamed"
    VERSION = 3
    who: str
    loud: bool


STEPS: dict[tuple[str, int], upcasts.Step] = {
    ("Renamed", 1): lambda old: {"who": old["name"]},
    ("Renamed", 2): lambda old: old | {"loud": old["who"].isupper()},
}


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BY_TOPIC, "Renamed", Renamed)

    def with_steps(topic: str, data: dict[str, Any], have: int, want: int) -> dict[str, Any]:
        return upcast(topic, data, have, want, STEPS)

    monkeypatch.setattr(codec, "upcast", with_steps)


@pytest.mark.usefixtures("renamed")
@pytest.mark.parametrize("data", [b'{"name":"ANN"}', b'{"class_version":2,"who":"ANN"}'])
def test_an_old_shape_is_read_as_todays(data: bytes) -> None:
    assert decode("Renamed", data) == Renamed(who="ANN", loud=True)


@pytest.mark.usefixtures("renamed")
def test_todays_shape_says_its_version_and_comes_back() -> None:
    fact = Renamed(who="Ann\0", loud=False)
    assert json.loads(encode(fact)) == {"class_version": 3, "who": "Ann\ufffd", "loud": False}
    assert decode("Renamed", encode(fact)) == Renamed(who="Ann\ufffd", loud=False)


def test_a_missing_step_is_named() -> None:
    with pytest.raises(LookupError, match="no upcast of Renamed from version 2 to 3"):
        upcast("Renamed", {"name": "x"}, 1, 3, {("Renamed", 1): STEPS["Renamed", 1]})


def test_every_fact_of_a_later_shape_has_all_its_steps() -> None:
    wanted = {(fact.TOPIC, version) for fact in FACTS for version in range(1, fact.VERSION)}
    assert set(upcasts.UPCASTS) == wanted
