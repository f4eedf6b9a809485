"""Asking over HTTP as a client does, and every answer held against the description that the service gives of itself."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from functools import cache
from typing import Any
from urllib.parse import urlencode

import msgspec
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from reviewbot.api.openapi import describe
from tests.deliveries import Answer
from tests.intake import Service


@cache
def description() -> dict[str, Any]:
    """The description as anybody gets it."""
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(describe("1.2.3")))
    return decoded


def complaints(path: str, answer: Answer) -> list[str]:
    """What the description does not allow about an answer to GET `path`."""
    for template, operations in description()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            told = operations["get"]["responses"].get(str(answer.status))
            if told is None:
                return [f"{answer.status} is not described for {template}"]
            return [error.message for error in _validator(told).iter_errors(answer.json)]
    return [f"{path} is not described"]


def _validator(told: dict[str, Any]) -> Draft202012Validator:
    whole = Resource.from_contents(description(), default_specification=DRAFT202012)
    shape = told["content"]["application/json"]["schema"]["$ref"]
    return Draft202012Validator(
        {"$ref": f"urn:description{shape}"},
        registry=Registry().with_resource("urn:description", whole),
        format_checker=FormatChecker(),
    )


class Client:
    """A client with a token."""

    def __init__(self, service: Service, token: str) -> None:
        self.service, self.token = service, token

    async def ask(self, path: str, **parameters: object) -> Answer:
        """GET with these parameters; the answer is as described."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return await self.follow(f"{path}?{urlencode(given)}" if given else path)

    async def follow(self, address: str) -> Answer:
        """GET exactly this address; the answer is as described."""
        answer = await self.service.get(address, Authorization=f"Bearer {self.token}")
        assert complaints(address.partition("?")[0], answer) == [], answer.json
        return answer

    async def pages(self, path: str, **parameters: object) -> AsyncIterator[Any]:
        """Every page, by the Link header."""
        answer = await self.ask(path, **parameters)
        while True:
            assert answer.status == 200, answer.json
            yield answer.json
            link = answer.headers.get("link")
            assert (link is None) == (answer.json["next"] is None)
            if link is None:
                return
            found = re.fullmatch(r'<(/[^>]+)>; rel="next"', link)
            assert found
            answer = await self.follow(found[1])
