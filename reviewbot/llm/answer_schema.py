"""The answer's JSON Schema in the narrow dialect that every vendor's structured output accepts. Pure."""

from __future__ import annotations

from typing import Any

# What OpenAI (strict), Anthropic and Gemini all understand. Bounds, patterns and defaults are left out: some vendors
# refuse the whole request for them, and the answer is checked against the full types anyway.
_KEPT = ("type", "description", "enum")


def narrowed(schema: dict[str, Any]) -> dict[str, Any]:
    """A copy of `schema` whose root is an object, with every object closed and all its properties required.

    Sources: OpenAI "Structured outputs, supported schemas", Anthropic "Structured outputs, JSON Schema limitations",
    Gemini "Structured outputs, JSON Schema support".
    """
    definitions = schema.get("$defs", {})
    # OpenAI wants an object at the root, msgspec puts a reference there.
    root = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    narrow = _narrow(root)
    if definitions:
        narrow["$defs"] = {name: _narrow(definition) for name, definition in definitions.items()}
    return narrow


def _narrow(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}  # nothing may stand beside a reference
    kept = {key: schema[key] for key in _KEPT if key in schema}
    variants = schema.get("anyOf") or schema.get("oneOf")
    if variants:
        kept["anyOf"] = [_narrow(variant) for variant in variants]
    if "enum" in kept:
        return _typed_enum(kept)
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        kept["properties"] = {name: _narrow(property_) for name, property_ in properties.items()}
        kept["required"] = list(properties)
        kept["additionalProperties"] = False
    if "items" in schema:
        kept["items"] = _narrow(schema["items"])
    return kept


def _typed_enum(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAI wants a type beside every enum; msgspec leaves it out, and lists null among the values."""
    words = [value for value in schema["enum"] if value is not None]
    typed = {**schema, "enum": words}
    if all(isinstance(word, str) for word in words):
        typed["type"] = "string"
    if len(words) == len(schema["enum"]):
        return typed
    return {"anyOf": [typed, {"type": "null"}]}
