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
    Told,
    csv_heading,
    csv_line,
    json_line,
    line,
    table,
    told,
)
from schema import events as e
from schema.codec import Recorded, encode

NASTY = 'a "quoted", text;\r\nwith \x1b]0;title\x07 an escape, \u202e a turn and =1+1'


def recorded(fact: e.Fact) -> Recorded:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    return Recorded(7, uuid4(), 2, fact.TOPIC, encode(fact), 42, None, "user:5", uuid4(), None, moment)


def test_a_line_of_json_holds_every_column_and_the_fact_byte_for_byte() -> None:
    event = recorded(e.ReviewFailed(code="internal", reason=NASTY))
    written = json_line(told(event))
    assert len(written.splitlines()) == 1
    assert event.data.decode() in written
    read = json.loads(written)
    assert UUID(read["stream"]) == event.stream
    assert (read["position"], read["version"], read["delivery"]) == (7, 2, None)
    assert read["recorded_at"] == "2026-01-02T03:04:05.678901Z"
    assert read["data"]["reason"] == NASTY


def test_csv_comes_back_as_it_was_written() -> None:
    event = recorded(e.ReviewFailed(code="internal", reason=NASTY))
    text = "\n".join([csv_heading(Told), csv_line(told(event))])
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert json.loads(row["data"])["reason"] == NASTY
    assert (row["position"], row["actor"], row["delivery"]) == ("7", "user:5", "")
    assert row["recorded_at"] == "2026-01-02T03:04:05.678901Z"


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
