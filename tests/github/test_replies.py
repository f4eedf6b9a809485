"""What GitHub's refusals are turned into, whatever their bodies look like."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from reviewbot.errors import GitHubRefused, GitHubUnavailable, InstallationGone, NotPermitted, ReviewBotError
from reviewbot.github.replies import Reply, is_rate_limited, limit_wait, refusal


def reply(status: int, body: object = b"", **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Reply("POST /x", status, named, raw)


def refused(body: object) -> GitHubRefused:
    error = refusal(reply(422, body))
    assert isinstance(error, GitHubRefused)
    assert error.status == 422
    return error


def test_errors_that_are_strings_are_kept_as_they_are() -> None:
    line = "Pull request review thread line must be part of the diff"
    error = refused({"message": "Unprocessable Entity", "errors": [line, "start line must precede the end line."]})
    assert error.errors == (line, "start line must precede the end line.")
    assert line in str(error)


def test_errors_that_are_objects_are_put_into_words() -> None:
    error = refused(
        {
            "message": "Validation Failed",
            "errors": [
                {"resource": "PullRequest", "code": "custom", "field": "x", "message": "body is too long"},
                {"resource": "CheckRun", "code": "missing_field", "field": "conclusion"},
                {"odd": True},
                7,
            ],
        }
    )
    assert error.errors == ("body is too long", "CheckRun.conclusion: missing_field", "{'odd': True}", "7")


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"message": "A pending review exists"}, ("A pending review exists",)),
        ({"message": "No", "errors": "one string"}, ("one string",)),
        ({"errors": ["no message"]}, ("no message",)),
        ({"message": 5, "errors": {"code": "x"}}, ("{'code': 'x'}",)),
        ([], ()),
        (b"<html>", ()),
        (b"", ()),
        (b"\xff", ()),
    ],
)
def test_a_422_of_any_shape_is_a_refusal(body: object, errors: tuple[str, ...]) -> None:
    assert refused(body).errors == errors


def test_a_very_long_reason_is_cut() -> None:
    error = refused({"message": "m" * 10_000, "errors": ["e" * 10_000] * 1000})
    assert len(error.errors) == 20
    assert len(str(error)) < 15_000


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, {"message": "This installation has been suspended"}, InstallationGone),
        (403, {"message": "Resource not accessible by integration"}, NotPermitted),
        (403, b"", NotPermitted),
        (
            403,
            {"message": "Up to 100 MB", "errors": [{"resource": "Blob", "field": "data", "code": "too_large"}]},
            GitHubRefused,
        ),
        (404, {"message": "Not Found"}, GitHubRefused),
        (408, b"", GitHubUnavailable),
        (409, b"", GitHubRefused),
        (451, b"", GitHubRefused),
        (500, b"", GitHubUnavailable),
        (520, b"<html>", GitHubUnavailable),
        (304, b"", GitHubUnavailable),
    ],
)
def test_a_status_says_which_error_it_is(status: int, body: object, kind: type[ReviewBotError]) -> None:
    assert type(refusal(reply(status, body))) is kind


@given(
    status=st.integers(300, 999),
    body=st.binary(max_size=50) | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["message", "errors", "code", "field", "resource"]), inner, max_size=3),
        max_leaves=8,
    ),
    header=st.sampled_from(["retry_after", "x_ratelimit_reset", "date", "x_accepted_github_permissions"]),
    value=st.text(max_size=40),
)  # fmt: skip
def test_no_answer_whatever_breaks_the_reading_of_it(status: int, body: object, header: str, value: str) -> None:
    odd = reply(status, body, x_ratelimit_remaining="0", **{header: value})
    is_rate_limited(odd)
    wait = limit_wait(odd, wall=1e9)
    assert wait is None or 0 <= wait <= 86_400
    assert isinstance(refusal(odd), ReviewBotError)
