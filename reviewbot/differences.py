"""Two plans of a review side by side as people read them: what differs in body, comments and Check Run. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from difflib import unified_diff

import msgspec

from reviewbot.publisher import Plan, PlannedComment


class Difference(msgspec.Struct, frozen=True):
    """One text that is not what was posted, as a unified diff."""

    what: str  # "body", "comment on PATH:LINE", "Check Run"
    diff: str


def differences(before: bytes, after: bytes) -> tuple[Difference, ...]:
    """Every text that differs between two stored plans, and the plans themselves when nothing differs that people read.

    Raises msgspec.ValidationError for what is no plan.
    """
    old, new = (_texts(msgspec.json.decode(plan, type=Plan)) for plan in (before, after))
    found = _differing(old, new)
    if not found and before != after:
        found = _differing(*({"plan": msgspec.json.format(plan).decode()} for plan in (before, after)))
    return found


def _differing(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Difference, ...]:
    return tuple(
        Difference(what, _diff(what, old.get(what, ""), new.get(what, "")))
        for what in dict.fromkeys((*old, *new))
        if old.get(what) != new.get(what)
    )


def _texts(plan: Plan) -> dict[str, str]:
    """What people read, by where it stands."""
    check = plan.check
    texts = {"body": plan.body}
    same: Counter[str] = Counter()
    for comment in plan.comments:
        place = _place(comment)
        same[place] += 1
        texts[place if same[place] == 1 else f"{place} ({same[place]})"] = comment.comment.body
    texts["Check Run"] = "\n\n".join((f"{plan.conclusion}: {check.title}", check.summary, check.text or ""))
    return texts


def _place(comment: PlannedComment) -> str:
    at = comment.comment
    lines = f"{at.start_line}-{at.line}" if at.start_line else f"{at.line}"
    return f"comment on {at.path}:{lines}{' of the old side' if at.side == 'LEFT' else ''}"


def _diff(what: str, old: str, new: str) -> str:
    lines = unified_diff(old.split("\n"), new.split("\n"), f"posted/{what}", f"replayed/{what}", lineterm="")
    return "\n".join(lines)
