"""The checks that the offline provider runs on every changed file, and the rule files it ships."""

from __future__ import annotations

from reviewbot.llm.rules import credentials, hidden, leftovers, structure
from reviewbot.llm.rules.model import Check

CHECKS: tuple[Check, ...] = (leftovers.check, hidden.check, credentials.check, structure.check)
