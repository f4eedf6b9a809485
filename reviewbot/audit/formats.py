"""Rows as lines: a table for people, JSON lines and CSV for programs. One row in memory at a time. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from reviewbot.audit.shapes import said
from reviewbot.invisible import show_invisible
from schema.codec import Recorded

Format = Literal["table", "jsonl", "csv"]


def line(event: Recorded) -> str:
    """The event as a line of a table."""
    when = f"{event.recorded_at:%Y-%m-%d %H:%M:%S}"
    return one_line(f"{event.position:>9}  {when}  {event.actor:<20}  {event.topic:<18}  {said(event)}")


HEADING = f"{'position':>9}  {'recorded (UTC)':<19}  {'actor':<20}  {'event':<18}  what it says"


def one_line(text: str) -> str:
    """Text that a terminal only shows: no escapes, no line ends, nothing that changes the direction."""
    return show_invisible(text).replace("\n", " ").replace("\t", " ")


def json_line(row: msgspec.Struct) -> str:
    """A row as a line of JSON."""
    return msgspec.json.encode(row).decode()


def csv_line(row: msgspec.Struct) -> str:
    """A row as a record of CSV (RFC 4180, but for the line end, which is the caller's)."""
    return _csv([_cell(value) for value in msgspec.structs.astuple(row)])


def csv_heading(kind: type[msgspec.Struct]) -> str:
    """The names of a row's fields."""
    return _csv(kind.__struct_fields__)


def table(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Lines of columns as wide as their widest cell; numbers stand on the right."""
    cells = [list(heading), *([one_line(_cell(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(heading))]
    right = [
        bool(rows) and all(isinstance(row[n], int | float | Decimal | None) for row in rows)
        for n in range(len(heading))
    ]
    for row in cells:
        aligned = (
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        )
        yield "  ".join(aligned).rstrip()


def _csv(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%S.%fZ}"
        case msgspec.Raw():
            return bytes(value).decode()
        case float():
            return f"{value:.1f}"
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value)
