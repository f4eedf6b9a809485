"""What the tests of providers start from: a key, a prompt, and the types of their fixtures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from reviewbot.findings import Finding
from reviewbot.llm.base import Prompt, Provider
from tests.fakes_llm import FakeVendors

KEY = "sk-test-4f9d2c7a81e0b3"


class Review(msgspec.Struct):
    summary: str
    findings: list[Finding] = []


PROMPT = Prompt(
    system="You review pull requests and answer in JSON, as a careful colleague would.",
    user="diff --git a/payroll.py b/payroll.py: the confidential salary of the chief officer is 1",
    answer_schema=msgspec.json.schema(Review),
    max_output_tokens=1234,
)

Start = Callable[..., Awaitable[FakeVendors]]
Connect = Callable[..., Provider]
