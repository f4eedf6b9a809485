"""What the stand-in answers: a body with its status and headers, or an error in one of GitHub's shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

Json: TypeAlias = dict[str, object]
DOCUMENTATION = "https://docs.github.com/rest"
MAX_PAGE = 100


class Answer(msgspec.Struct, frozen=True):
    """One answer. `body` is encoded as JSON unless it is bytes already."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    content_type: str = "application/json; charset=utf-8"
    created: tuple[object, ...] = ()  # what the request brought into being, for delayed visibility

    def encoded(self) -> bytes:
        """The bytes on the wire; 204 and 304 have none."""
        if self.status in (204, 304):
            return b""
        return self.body if isinstance(self.body, bytes) else msgspec.json.encode(self.body)


class ApiError(Exception):
    """An answer of 4xx, raised from anywhere below the pipeline.

    `errors` are strings in some places of GitHub's API and objects in others; each caller knows which.
    """

    def __init__(
        self,
        status: int,
        message: str,
        errors: Sequence[object] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def answer(self) -> Answer:
        """The error as GitHub words it."""
        body: Json = {"message": self.message}
        if self.errors:
            body["errors"] = list(self.errors)
        body |= {"documentation_url": DOCUMENTATION, "status": str(self.status)}
        return Answer(body, self.status, self.headers)


def not_found() -> ApiError:
    """404, which also hides what the caller may not know of."""
    return ApiError(404, "Not Found")


def forbidden(accepted: str = "") -> ApiError:
    """403 of an App that lacks a permission; `accepted` names what would have been enough."""
    headers = {"X-Accepted-GitHub-Permissions": accepted} if accepted else {}
    return ApiError(403, "Resource not accessible by integration", headers=headers)


def unprocessable(*errors: str) -> ApiError:
    """422 with a list of strings, as the endpoints for reviews answer."""
    return ApiError(422, "Unprocessable Entity", errors)


def invalid(resource: str, field: str, message: str, code: str = "custom") -> ApiError:
    """422 with an object that names the field, as most other endpoints answer."""
    error = {"resource": resource, "field": field, "code": code, "message": message}
    return ApiError(422, "Validation Failed", (error,))
