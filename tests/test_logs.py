"""Log lines: one JSON object each, with what they belong to and without what must stay secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from reviewbot import logs
from reviewbot.logs import REMOVED, Redaction

SECRET = "correct-horse-battery-staple"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAxyz\nabcdefghijklmnop\n-----END RSA PRIVATE KEY-----"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level, settings = root.handlers[:], root.level, structlog.get_config()
    out = io.StringIO()
    logs.configure(level="info", form="json", secrets=[SECRET, PEM], stream=out)
    yield out
    root.handlers[:] = before
    root.setLevel(level)
    structlog.configure(**settings)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_how_bad_where_and_what(stream: io.StringIO) -> None:
    structlog.get_logger("reviewbot.worker").warning("job taken", attempt=2)
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"message": "job taken", "level": "warning", "logger": "reviewbot.worker", "attempt": 2}


def test_what_a_line_belongs_to_is_named_while_it_is_bound(stream: io.StringIO) -> None:
    log = structlog.get_logger("x")
    with logs.bound(delivery=UUID(int=1), installation=5), logs.bound(job=UUID(int=2)):
        log.info("inside")
        logging.getLogger("library").warning("inside too")
    log.info("outside")
    inside, library, outside = lines(stream)
    assert (inside["delivery"], inside["job"], inside["installation"]) == (str(UUID(int=1)), str(UUID(int=2)), 5)
    assert library["job"] == str(UUID(int=2))
    assert not {"delivery", "job", "installation"} & outside.keys()


def test_the_lines_of_libraries_take_the_same_form(stream: io.StringIO) -> None:
    logging.getLogger("asyncpg").error("lost %s of %d", "one", 2)
    logging.getLogger("httpx").info("every request is announced")
    (line,) = lines(stream)
    assert (line["message"], line["logger"], line["level"]) == ("lost one of 2", "asyncpg", "error")


def test_a_traceback_stays_on_one_line(stream: io.StringIO) -> None:
    try:
        raise ValueError(f"cannot use {SECRET}")
    except ValueError:
        structlog.get_logger("x").exception("it broke")
    (line,) = lines(stream)
    assert "Traceback" in line["exception"]
    assert SECRET not in line["exception"]


def test_lines_below_the_level_are_not_written(stream: io.StringIO) -> None:
    structlog.get_logger("x").debug("quiet")
    assert lines(stream) == []


@pytest.mark.parametrize(
    "said",
    [
        SECRET,
        f"the secret is {SECRET}.",
        {"deep": [{"deeper": SECRET}]},
        {SECRET: 1},
        ValueError(SECRET),
        SECRET.encode(),
        PEM,
        PEM.replace("\n", "\\n"),
        "abcdefghijklmnop",
    ],
    ids=["alone", "inside", "nested", "as a key", "in an error", "as bytes", "key", "key on a line", "line of the key"],
)
def test_a_known_secret_is_removed_wherever_it_stands(stream: io.StringIO, said: object) -> None:
    structlog.get_logger("x").info("said", said=said)
    text = stream.getvalue()
    assert REMOVED in text
    assert not any(secret in text for secret in (SECRET, "MIIEowIBAAKCAQEAxyz", "abcdefghijklmnop"))


@pytest.mark.parametrize(
    "shape",
    [
        "ghs_16C7e42F292c6912E7710c838347Ae178B4a",
        "ghs_12_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMiJ9.c2lnbmF0dXJl-_",
        "github_pat_11ABCDEFG0123456789_ponmlkjihgfedcba",
        "sk-proj-xwvutsrqponmlkjihgfedcba",
        "AIzaSyA1234567890vutsrqponmlkjihgfedcba",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMiJ9.c2lnbmF0dXJl",
    ],
)
def test_what_looks_like_a_credential_is_removed(stream: io.StringIO, shape: str) -> None:
    structlog.get_logger("x").info(f"sent {shape} to them", header=f"Authorization: Bearer {shape}")
    assert shape not in stream.getvalue()
    assert lines(stream)[0]["message"] == f"sent {REMOVED} to them"


def test_a_password_in_an_address_is_removed_and_the_host_stays(stream: io.StringIO) -> None:
    structlog.get_logger("x").info("cannot connect", url="postgresql://bot:hunter2@db.example/reviewbot")
    (line,) = lines(stream)
    assert line["url"] == f"postgresql://{REMOVED}@db.example/reviewbot"


def test_bodies_and_headers_are_never_logged(stream: io.StringIO) -> None:
    structlog.get_logger("x").info("got", body=b"{}", headers={"a": "b"}, request={"Authorization": "x", "path": "/"})
    (line,) = lines(stream)
    assert (line["body"], line["headers"]) == (REMOVED, REMOVED)
    assert line["request"] == {"Authorization": REMOVED, "path": "/"}


def test_the_text_form_cannot_steer_the_terminal() -> None:
    out = io.StringIO()
    logs.configure(level="info", form="text", stream=out)
    structlog.get_logger("x").info("title \x1b[2J", branch="a\u202eb")
    assert "\x1b" not in out.getvalue()
    assert "<U+001B>" in out.getvalue()


@given(st.text(), st.text())
def test_removing_leaves_no_trace_of_the_secret_whatever_stands_around_it(before: str, after: str) -> None:
    assert SECRET not in Redaction([SECRET]).clean_text(before + SECRET + after)


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.binary(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_value_can_be_logged(value: object) -> None:
    json.dumps(Redaction([SECRET])(None, "info", {"value": value}))
