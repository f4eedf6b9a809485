"""How an old shape of a fact becomes the next one: (topic, version) -> a pure function from dict to dict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Step = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTS: Mapping[tuple[str, int], Step] = {}


def upcast(
    topic: str, data: dict[str, Any], have: int, want: int, steps: Mapping[tuple[str, int], Step] = UPCASTS
) -> dict[str, Any]:
    """Carry `data` from shape `have` to shape `want`. Raises LookupError when a step is missing."""
    for version in range(have, want):
        step = steps.get((topic, version))
        if step is None:
            raise LookupError(f"no upcast of {topic} from version {version} to {version + 1}")
        data = step(data)
    return data
