"""The description of the HTTP API, made from its routes and from the types of what is asked and answered.

Source: https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from reviewbot.api.routes import ROUTES, Route
from reviewbot.api.shapes import Problem
from reviewbot.audit.shapes import Event
from schema.events import FACTS

Schema: TypeAlias = "dict[str, Any]"

REFERENCE = "#/components/schemas/{name}"
ABOUT = (
    "Reads what happened and what became of each review. Nothing can be changed. Every list comes in pages: the next "
    "one has the address in the Link header. A page neither loses nor repeats anything, whatever happens meanwhile."
)
PROBLEMS = {
    "400": "A parameter is wrong; `reason` says what to do.",
    "401": "The token is missing, unknown, revoked or expired.",
    "404": "There is no such job, or there was none then.",
    "503": "It cannot be answered now; ask again after the seconds of Retry-After.",
}
JOB_ID: Schema = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The job's id.",
    "schema": {"type": "string", "format": "uuid"},
}


def describe(version: str) -> Schema:
    """The OpenAPI document."""
    types = [Problem, *(route.answer for route in ROUTES), *(route.asked for route in ROUTES), *FACTS]
    _, schemas = msgspec.json.schema_components(types, ref_template=REFERENCE)
    paths = {route.path: {"get": _operation(route, schemas)} for route in ROUTES}
    for route in ROUTES:
        schemas.pop(route.asked.__name__, None)  # told parameter by parameter
    facts = [{"$ref": REFERENCE.format(name=fact.__name__)} for fact in FACTS]
    schemas[Event.__name__]["properties"]["data"] = {"description": "What `topic` says.", "anyOf": facts}
    return {
        "openapi": "3.1.1",
        "info": {"title": "ReviewBot", "version": version, "description": ABOUT},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "From `reviewbot tokens create NAME`."}
            },
        },
    }


def _operation(route: Route, schemas: dict[str, Schema]) -> Schema:
    told = {code: what for code, what in PROBLEMS.items() if code != "404" or route.about_one}
    answered = {"description": route.summary, **_json(route.answer)}
    if "next" in route.answer.__struct_fields__:
        link = {"description": 'The next page: <address>; rel="next".', "schema": {"type": "string"}}
        answered["headers"] = {"Link": link}
    return {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": [*([JOB_ID] if route.about_one else []), *_parameters(schemas[route.asked.__name__])],
        "responses": {"200": answered, **{code: {"description": told[code], **_json(Problem)} for code in told}},
    }


def _parameters(asked: Schema) -> list[Schema]:
    return [_parameter(name, schema) for name, schema in asked["properties"].items()]


def _parameter(name: str, schema: Schema) -> Schema:
    """A field as a parameter: it is given or not, but never null."""
    told = {"name": name, "in": "query", "description": schema.pop("description", "")}
    if "anyOf" in schema:
        (schema,) = [{**schema, **one} for one in schema.pop("anyOf") if one != {"type": "null"}]
        schema.pop("default", None)
    told["description"] = schema.pop("description", told["description"])
    return {**told, "schema": schema}


def _json(shape: type[msgspec.Struct]) -> Schema:
    return {"content": {"application/json": {"schema": {"$ref": REFERENCE.format(name=shape.__name__)}}}}
