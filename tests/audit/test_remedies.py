"""Every code that a failed review can have comes with what to do, and the runbook agrees."""

from __future__ import annotations

import re

from reviewbot import errors
from reviewbot.audit.remedies import REMEDIES, UNKNOWN, remedy
from reviewbot.errors import ConfigError, FinalError, RetryableError, ReviewBotError
from reviewbot.worker import _code
from tests.house.tree import read


def test_every_code_has_a_remedy() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ReviewBotError)]
    of_errors = {
        _code(kind()) for kind in kinds if kind not in (ReviewBotError, RetryableError, FinalError, ConfigError)
    }
    in_worker = set(re.findall(r'"(deadline|worker_lost|database|internal)"', read("reviewbot/worker.py")))
    in_review = set(re.findall(r'code="(\w+)"', read("reviewbot/review.py")))
    assert len(in_worker) == 4
    assert set(REMEDIES) == of_errors | in_worker | in_review
    assert remedy("of another version") == UNKNOWN


def test_what_the_runbook_tells_of_is_told_here_too() -> None:
    table = read("ops/runbook.md").partition("| Code | Do |\n")[2].partition("\n\n")[0]
    codes = {code for row in table.splitlines()[1:] for code in re.findall(r"`([a-z_]+)`", row.split(" | ")[0])}
    assert codes
    assert codes <= set(REMEDIES)
