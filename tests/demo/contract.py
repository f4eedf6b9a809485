"""Holds recorded exchanges with GitHub to GitHub's own OpenAPI description: what was asked and what was answered.

Used as `check_exchanges(standin.requests)` by any test that drives the stand-in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from reviewbot.demo.pipeline import MAX_RECORDED_BODY_BYTES, Exchange

DESCRIPTION = Path(__file__).parent.parent / "samples" / "github" / "openapi.json"
_URI = "urn:github"

# Documented by GitHub, but not part of the description at hand.
NOT_DESCRIBED = {
    ("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/events"),
    ("DELETE", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}"),
    ("DELETE", "/installation/token"),
    ("POST", "/graphql"),
}
# Answers that any endpoint may give, whatever its description lists.
ANYWHERE = {301, 304, 307, 400, 401, 403, 404, 422, 429, 500, 502, 503}
# Where GitHub answers null for a comment whose lines are gone although the description has only numbers.
NULL_IN_FACT = {("pull-request-review-comment", name) for name in ("line", "position")} | {("review-comment", "line")}


def check_exchanges(exchanges: Iterable[Exchange]) -> int:
    """Check them all; gives how many were held to the description. Raises AssertionError that names every fault."""
    checked, faults = 0, list[str]()
    for exchange in exchanges:
        found = check_exchange(exchange)
        faults += [f"{exchange.method} {exchange.path} ({exchange.status}): {fault}" for fault in found]
        checked += 1
    assert not faults, "\n".join(faults)
    return checked


def check_exchange(exchange: Exchange) -> list[str]:
    """What is wrong with one exchange."""
    if exchange.template is None:
        return ["GitHub has no such endpoint"]
    cut = max(len(exchange.request_body), len(exchange.response_body)) >= MAX_RECORDED_BODY_BYTES
    if cut or (exchange.method, exchange.template) in NOT_DESCRIBED:
        return []
    described = _description()["paths"].get(exchange.template, {}).get(exchange.method.lower())
    if described is None:
        return ["not in GitHub's description"]
    return [*_request_faults(exchange, described), *_answer_faults(exchange, described)]


def _request_faults(exchange: Exchange, described: dict[str, Any]) -> list[str]:
    if exchange.status in (400, 422):
        return []  # the answer says itself that the request was wrong
    faults = []
    known = {parameter["name"]: parameter for parameter in map(_followed, described.get("parameters", ()))}
    for name, value in exchange.query.items():
        parameter = known.get(name)
        if parameter is None or parameter["in"] != "query":
            faults.append(f"query parameter {name!r} does not exist")
            continue
        schema = parameter["schema"]
        if schema.get("type") == "integer" and value.lstrip("-").isdigit():
            faults += _schema_faults(schema, int(value), f"query parameter {name}")
        else:
            faults += _schema_faults(schema, value, f"query parameter {name}")
    return faults + _body_faults(exchange, described)


def _body_faults(exchange: Exchange, described: dict[str, Any]) -> list[str]:
    body = described.get("requestBody")
    if body is None or not exchange.request_body:
        missing = body is not None and body.get("required", False)
        return ["the request needs a body"] if missing else []
    content = exchange.request_headers.get("Content-Type", "")
    if not content.startswith("application/json"):
        return [f"the request's Content-Type is {content!r}"]
    # A misspelt field would be ignored in silence, so none but the described ones may be sent.
    schema = {"allOf": [_converted(body["content"]["application/json"]["schema"])], "unevaluatedProperties": False}
    return _schema_faults(schema, json.loads(exchange.request_body), "request", converted=True)


def _answer_faults(exchange: Exchange, described: dict[str, Any]) -> list[str]:
    if exchange.troubles and exchange.status >= 400:
        return []  # scripted, and wrong on purpose
    if not exchange.delivered and not exchange.response_body:
        return []  # cut off before there was an answer
    response = described["responses"].get(str(exchange.status))
    if response is None:
        return [] if exchange.status in ANYWHERE else ["the description has no such status"]
    content = _followed(response).get("content", {})
    if not content or exchange.status == 304:
        return ["a body where none is described"] if exchange.response_body else []
    if not exchange.content_type.startswith("application/json"):
        return [] if exchange.content_type.startswith("application/vnd.github") else ["an unknown Content-Type"]
    asked = exchange.request_headers.get("Accept", "")
    object_media = next((media for media in content if media.startswith("application/vnd") and "object" in media), "")
    media = object_media if "object" in asked and object_media else "application/json"
    return _schema_faults(content[media]["schema"], json.loads(exchange.response_body), "answer")


def _schema_faults(schema: dict[str, Any], value: object, what: str, *, converted: bool = False) -> list[str]:
    validator = jsonschema.Draft202012Validator(
        schema if converted else _converted(schema), registry=_registry(), format_checker=_FORMATS
    )
    faults = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
    return [f"{what} at {'/'.join(map(str, error.absolute_path)) or 'top'}: {error.message[-300:]}" for error in faults]


def _followed(part: dict[str, Any]) -> dict[str, Any]:
    """The part itself, or what its $ref names."""
    if "$ref" not in part:
        return part
    found: Any = _description()
    for step in part["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    assert isinstance(found, dict)
    return found


@cache
def _description() -> dict[str, Any]:
    description = json.loads(DESCRIPTION.read_bytes())
    for schema, field in NULL_IN_FACT:
        description["components"]["schemas"][schema]["properties"][field]["nullable"] = True
    # An account is a user or an enterprise; the list of installations alone demands that it be both.
    listed = description["paths"]["/app/installations"]["get"]["responses"]["200"]["content"]["application/json"]
    account = listed["schema"]["items"]["properties"]["account"]
    account["anyOf"] = account.pop("allOf")
    assert isinstance(description, dict)
    return description


@cache
def _registry() -> Registry[Any]:
    schemas = {name: _converted(schema) for name, schema in _description()["components"]["schemas"].items()}
    document = {"components": {"schemas": schemas}}
    empty: Registry[Any] = Registry()
    found: Registry[Any] = empty.with_resource(_URI, DRAFT202012.create_resource(document))
    return found


def _converted(schema: Any) -> Any:
    """OpenAPI 3.0's dialect as JSON Schema 2020-12: `nullable` becomes a type, references become absolute."""
    if isinstance(schema, list):
        return [_converted(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    left_out = ("nullable", "example", "examples", "description", "title", "default", "deprecated")
    plain: dict[str, Any] = {
        key: {name: _converted(part) for name, part in value.items()} if key == "properties" else _converted(value)
        for key, value in schema.items()
        if key == "properties" or key not in left_out
    }
    if "$ref" in plain:
        plain["$ref"] = _URI + plain["$ref"]
    if schema.get("nullable"):
        return {"anyOf": [{"type": "null"}, plain]}
    return plain


_FORMATS = jsonschema.FormatChecker(formats=())


@_FORMATS.checks("date-time")
def _is_moment(value: object) -> bool:
    if not isinstance(value, str):
        return True
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


@_FORMATS.checks("uri")
def _is_address(value: object) -> bool:
    return not isinstance(value, str) or value.startswith(("http://", "https://", "git:", "ssh:"))
