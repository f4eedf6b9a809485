"""Whatever stands in a query string is either understood or refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.api import parameters
from reviewbot.api.parameters import EventsAsked, JobsAsked
from reviewbot.api.routes import ROUTES, Route
from reviewbot.audit.filters import BadFilter

NAMES = sorted({name for route in ROUTES for name in route.asked.__struct_fields__})
VALUES = st.one_of(st.text(max_size=30), st.integers().map(str), st.sampled_from(["null", "true", "1e3", "2h", "desc"]))


@given(st.sampled_from(ROUTES), st.lists(st.tuples(st.one_of(st.sampled_from(NAMES), st.text(max_size=9)), VALUES)))
def test_anything_is_understood_or_refused_with_the_name_of_what_is_wrong(
    route: Route, pairs: list[tuple[str, str]]
) -> None:
    names = {name for name, _ in pairs}
    refused: BadFilter | None = None
    try:
        asked = parameters.read(pairs, route.asked)
    except BadFilter as error:
        refused = error
    if refused is None:
        assert names <= set(type(asked).__struct_fields__)
    else:
        assert refused.parameter in names
        assert str(refused).endswith(".")


def test_what_is_left_out_has_its_usual_value() -> None:
    assert parameters.read([], EventsAsked) == EventsAsked(order="asc", limit=100)
    assert parameters.read([("limit", "7"), ("state", "queued")], JobsAsked) == JobsAsked(limit=7, state="queued")


@pytest.mark.parametrize("cursor", ["", "-1", "1.5", "x", "9" * 19, "١"])
def test_a_cursor_that_nobody_gave_out_is_refused(cursor: str) -> None:
    with pytest.raises(BadFilter, match="what `next` said"):
        parameters.position(cursor)
