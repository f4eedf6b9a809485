"""Queries live in .sql files beside the Python that runs them; this loads one by name."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def load(package: str, name: str) -> str:
    """The text of `name`.sql in `package`, e.g. load("schema.queries", "append")."""
    return files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")
