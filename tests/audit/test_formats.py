"""Rows as lines: JSON that is exact, CSV that comes back as it was, a table that a terminal only shows."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec

from reviewbot.audit.formats import (
    HEADING,
    csv_heading,
    csv_line,
    json_line,
    line,
    table,
)
from reviewbot.audit.shapes import Event, event
from schema import events as e
from schema.codec import Recorded, encode

NASTY = 'a "quoted", text;\r\nwith \x1b]0;title\x07 an escape, \u202e a turn and =1+1'


def recorded(fact: e.Fact) -> Recorded:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    return Recorded(7, uuid4(), 2, fact.TOPIC, encode(fact), 42, None, "user:5", uuid4(), None, moment)


def test_a_line_of_json_holds_every_column_and_the_fact_byte_for_byte() -> None:
    row = recorded(e.ReviewFailed(code="internal", reason=NASTY))
    written = json_line(event(row))
    assert len(written.splitlines()) == 1
    assert row.data.decode() in written
    read = json.loads(written)
    assert UUID(read["stream"]) == row.stream
    assert (read["position"], read["version"], read["delivery"]) == (7, 2, None)
    assert read["recorded_at"] == "2026-01-02T03:04:05.678901Z"
    assert read["data"]["reason"] == NASTY


def test_csv_comes_back_as_it_was_written() -> None:
    row = recorded(e.ReviewFailed(code="internal", reason=NASTY))
    text = "\n".join([csv_heading(Event), csv_line(event(row))])
    (read,) = csv.DictReader(io.StringIO(text, newline=""))
    assert json.loads(read["data"])["reason"] == NASTY
    assert (read["position"], read["actor"], read["delivery"]) == ("7", "user:5", "")
    assert read["recorded_at"] == "2026-01-02T03:04:05.678901Z"


def test_nothing_that_others_wrote_moves_the_terminal() -> None:
    shown = line(recorded(e.ReviewFailed(code="internal", reason=NASTY)))
    assert len(shown.splitlines()) == 1
    assert shown.isprintable()
    assert "<U+001B>]0;title<U+0007>" in shown
    assert "<U+202E>" in shown
    assert shown.index("ReviewFailed") == HEADING.index("event ")


class Row(msgspec.Struct):
    name: str
    count: int
    share: float | None


def test_a_table_aligns_its_columns_and_shows_nothing_else() -> None:
    rows = [msgspec.structs.astuple(Row("a\x1b[31m", 5, None)), msgspec.structs.astuple(Row("long name", 1_000, 2.25))]
    assert list(table(["name", "count", "share"], rows)) == [
        "name           count  share",
        "a<U+001B>[31m      5",
        "long name       1000    2.2",
    ]


def test_an_event_of_a_later_version_is_shown_all_the_same() -> None:
    row = msgspec.structs.replace(recorded(e.ReviewSuperseded()), topic="ReviewAdmired")
    assert "the log holds a ReviewAdmired, which this version of ReviewBot does not know" in line(row)
    assert json.loads(json_line(event(row)))["topic"] == "ReviewAdmired"
