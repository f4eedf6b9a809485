"""The schema that is sent: narrow enough for every vendor, and still the answer's own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from reviewbot.llm.answer_schema import narrowed


class Note(msgspec.Struct):
    """What was seen."""

    text: Annotated[str, msgspec.Meta(max_length=80)]
    line: Annotated[int, msgspec.Meta(ge=1)] | None = None
    side: Literal["LEFT", "RIGHT"] | None = None
    tone: Literal["calm", "loud"] = "calm"


class Review(msgspec.Struct):
    summary: str
    notes: list[Note] = []


def _objects(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [found for item in schema for found in _objects(item)]
    if not isinstance(schema, dict):
        return []
    inner = [found for value in schema.values() for found in _objects(value)]
    return [schema, *inner] if schema.get("type") == "object" else inner


def test_the_root_is_an_object_and_every_object_is_closed_with_all_its_properties_required():
    schema = narrowed(msgspec.json.schema(Review))
    assert schema["type"] == "object"
    assert len(_objects(schema)) >= 2
    for found in _objects(schema):
        assert found["additionalProperties"] is False
        assert found["required"] == list(found["properties"])


def test_only_what_every_vendor_understands_is_left():
    note = narrowed(msgspec.json.schema(Review))["$defs"]["Note"]
    assert note["description"] == "What was seen."
    assert note["properties"] == {
        "text": {"type": "string"},
        "line": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "side": {"anyOf": [{"type": "string", "enum": ["LEFT", "RIGHT"]}, {"type": "null"}]},
        "tone": {"type": "string", "enum": ["calm", "loud"]},
    }


def test_an_answer_that_keeps_to_the_narrow_schema_fits_the_types():
    answer = b'{"summary": "", "notes": [{"text": "t", "line": null, "side": null, "tone": "loud"}]}'
    assert msgspec.json.decode(answer, type=Review).notes[0].tone == "loud"


def test_the_callers_schema_is_left_as_it_was():
    schema = msgspec.json.schema(Review)
    before = msgspec.json.encode(schema)
    narrowed(schema)
    assert msgspec.json.encode(schema) == before


def test_a_schema_without_references_works_as_well():
    plain = {"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}, {"type": "null"}]}}}
    assert narrowed(plain)["properties"]["a"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
