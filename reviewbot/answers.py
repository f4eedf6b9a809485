"""A model's raw answer -> findings, one by one: a bad one does not lose the rest, a cut one is never made up. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from reviewbot import lenient_json, lenient_yaml
from reviewbot.findings import SEVERITIES, Finding, Severity
from reviewbot.lenient_json import EXCERPT_LENGTH, Array, Cut, Object, Value

MAX_CHARACTERS = 1024 * 1024  # the longest answer that a model of today can give is half of it
MAX_VALUES = 2000  # top-level JSON values looked at
MAX_FINDINGS = 500
MAX_REJECTED = 100
MAX_LINE = 10_000_000

Outcome = Literal["whole", "partial", "none"]


class Rejected(msgspec.Struct, frozen=True):
    """Something in the answer that was not kept, why, and how it begins."""

    reason: str
    excerpt: str


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """What could be read of an answer.

    "whole" says that the answer was closed, "partial" that something is missing, and "none" that there was no answer,
    which is never the same as no findings. A whole answer without findings speaks for a clean change only when nothing
    was rejected either.
    """

    summary: str | None
    findings: tuple[Finding, ...]  # in the order of the answer, exact repeats once
    rejected: tuple[Rejected, ...]
    outcome: Outcome

    @property
    def usable(self) -> bool:
        """Whether it says anything: an answer cut off before its first word is not "none", but no review either."""
        return self.outcome == "whole" or bool(self.summary or self.findings)


def parse_answer(text: str, *, truncated: bool) -> Parsed:
    """Read an answer in whatever dress it comes. Never raises.

    Fences, prose, tool calls, doubly encoded JSON, YAML, comments, odd quotes and more are seen through. `truncated`
    is what the provider said about the end of the answer; a cut that shows in the text is found without it.
    """
    if len(text) > MAX_CHARACTERS:
        text, truncated = text[:MAX_CHARACTERS], True
    for form in _forms(text):
        collector = _Collector()
        collector.read_text(form, truncated=truncated)
        if (parsed := collector.parsed(truncated=truncated)).outcome != "none":
            return parsed
    return Parsed(summary=None, findings=(), rejected=(), outcome="none")


# --- finding the JSON -----------------------------------------------------------------------------------------------

_ENCODED = re.compile(r"\s*(?:```\w*\s*)?(?=\"(?:\\[nrt]|\s)*(?:\\\"|[{\[](?:\\[nrt]|\s)*(?:\\\"|[{\[}\]])))")
_EMPTY_LIST = re.compile(r"\W*(?:json\s*)?\[\s*\]\W*")
_TAG = r"think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis|antthinking"
_WITHDRAWN_END = re.compile(rf"</(?:{_TAG})\s*>|\[/THINK\]|<\|channel\|>\s*final\b[^<]*<\|message\|>", re.I)
_WITHDRAWN_START = re.compile(rf"(?:<(?:{_TAG})\b[^<>]*>|\[THINK\]|<\|channel\|>\s*analysis\b)", re.I)
_NEXT = re.compile(f"(?P<start>{_WITHDRAWN_START.pattern})|(?P<end>{_WITHDRAWN_END.pattern})|[{{\\[]", re.I)
_PLAUSIBLE = re.compile(
    r"\{\s*(?:\Z|[}\"'“„”‘`]|[A-Za-z_$][\w$]{0,255}\s*(?::|\Z)|//|/\*|#)|\[\s*(?:\Z|[{\"'“\[\]]|//|/\*)"
)


def _forms(text: str) -> Iterator[str]:
    """The text as it came, then what it may be an encoding of; the first form with an answer counts."""
    form = text
    for _ in range(3):
        if not (match := _ENCODED.match(form)):
            break
        form = lenient_json.read_string(form, match.end())
        yield form
    yield text
    if "&quot;" in text:
        yield html.unescape(text)
    if '\\"' in text:
        yield lenient_json.read_string(f'"{text.strip()}', 0)


def _readings(text: str) -> list[lenient_json.Reading]:
    """Every top-level JSON value outside of what the model withdrew."""
    found: list[lenient_json.Reading] = []
    position = spent = 0
    while len(found) < MAX_VALUES and (match := _NEXT.search(text, position)):
        position = match.end()
        if match.group("end"):  # all before it was thinking, though nothing had said so
            found.clear()
        elif match.group("start"):
            end = _WITHDRAWN_END.search(text, position)
            position = end.end() if end else len(text)
        elif _PLAUSIBLE.match(text, match.start()):
            # A second reading may run far ahead of the first; what all of them may cost together is bounded.
            reading = lenient_json.read(text, match.start(), guess_quotes=spent < 2 * len(text))
            spent += reading.spent
            position = max(position, reading.end)
            found.append(reading)
    return found


def _yaml_start(text: str) -> int | None:
    """Where a YAML answer begins, when one begins before any JSON does."""
    thinking = _WITHDRAWN_START.search(text, 0, 200)
    end = _WITHDRAWN_END.search(text) if thinking else None
    base = end.end() if end else 0
    start = lenient_yaml.find_start(text, base)
    if start is None or _PLAUSIBLE.search(text, base, start):
        return None
    return start


# --- from values to findings ----------------------------------------------------------------------------------------

_WITHDRAWN_KEYS = frozenset({"thinking", "reasoning", "thought", "thoughts", "analysis", "scratchpad", "draft"})
# Where tool calls and chat messages carry an answer as text.
_CARRIERS = frozenset({"arguments", "input", "parameters", "content", "text"})
_ENCODED_VALUE = re.compile(r"\s*[{\[]")
_MAX_ENCODINGS = 3
_CONTAINER_NAME = re.compile(r"[a-z_]+")


class _Collector:
    """Gathers what the values of one answer say."""

    def __init__(self) -> None:
        self.summaries: list[str] = []
        self.findings: dict[Finding, None] = {}  # an ordered set
        self.rejected: list[Rejected] = []
        self.answered = False  # a list of findings was there, empty or not
        self.cut = False
        self.encodings = 0  # how many strings the value being read is wrapped in

    def parsed(self, *, truncated: bool) -> Parsed:
        said = self.answered or self.cut or bool(self.findings or self.summaries)
        whole = (self.answered or self.findings) and not (self.cut or truncated)
        return Parsed(
            summary="\n\n".join(dict.fromkeys(self.summaries)) or None,
            findings=tuple(self.findings),
            rejected=tuple(self.rejected),
            outcome="none" if not said else "whole" if whole else "partial",
        )

    def read_text(self, text: str, *, truncated: bool) -> None:
        if (start := _yaml_start(text)) is not None:
            self._any(lenient_yaml.read_answer(text, start, truncated=truncated))
            return
        readings = _readings(text)
        for reading in readings:
            answers, findings = self.answered, len(self.findings)
            self._any(reading.value)
            began = reading.state == "cut" and _began(reading.value, alone=not (answers or findings))
            lost = reading.state == "broken" and len(self.findings) > findings
            self.cut = self.cut or began or lost
        if len(readings) >= MAX_VALUES and (self.answered or self.findings):
            self.cut = True  # what lies behind them was not looked at
        if len(text) < 64 and _EMPTY_LIST.fullmatch(text):
            self.answered = True

    def _any(self, value: Value) -> None:
        """A value that may be an answer, a finding, or something around them."""
        if isinstance(value, Array):
            for item in value.items:
                self._any(item)
        elif not isinstance(value, Object):
            return
        elif "findings" in value.pairs:
            self._answer(value)
        elif _is_finding(value):
            self._finding(value, None)
        else:
            self._summary(value)
            for key, member in value.pairs.items():
                if isinstance(member, str) and key in _CARRIERS:
                    self._encoded(member)
                elif key.lower() not in _WITHDRAWN_KEYS:
                    self._any(member)

    def _encoded(self, text: str) -> None:
        """An answer inside a string, where tool calls put it."""
        if self.encodings < _MAX_ENCODINGS and _ENCODED_VALUE.match(text):
            self.encodings += 1
            self.read_text(text, truncated=False)
            self.encodings -= 1

    def _answer(self, answer: Object) -> None:
        self._summary(answer)
        findings = answer.pairs["findings"]
        if not answer.whole:
            self.cut = True
        if isinstance(findings, Array | Object) or findings is None:
            self.answered = True
        self._findings(findings, None)

    def _summary(self, answer: Object) -> None:
        summary = _text(answer.pairs.get("summary"))
        if summary and re.search(r"\w", summary):
            self.summaries.append(summary)

    def _findings(self, value: Value, path: str | None) -> None:
        """The value of `findings`: a list, or lists by path, or something around them."""
        if isinstance(value, Array):
            for item in value.items:
                self._findings(item, path)
        elif isinstance(value, str):
            if _ENCODED_VALUE.match(value) and self.encodings < _MAX_ENCODINGS:
                self._encoded(value)
            else:
                self._reject("not a finding", value)
        elif not isinstance(value, Object):
            return
        elif _is_finding(value) or not any(isinstance(member, Array | Object) for member in value.pairs.values()):
            self._finding(value, path)
        else:
            for key, member in value.pairs.items():
                self._findings(member, path if _CONTAINER_NAME.fullmatch(key) else key)

    def _finding(self, value: Object, path: str | None) -> None:
        if not value.whole:
            self.cut = True
            self._reject("the answer breaks off inside this finding", value.excerpt)
            return
        finding = _finding_from(value, path)
        if isinstance(finding, str):
            self._reject(finding, value.excerpt)
        elif finding not in self.findings and len(self.findings) >= MAX_FINDINGS:
            self._reject(f"more than {MAX_FINDINGS} findings", value.excerpt)
        else:
            self.findings[finding] = None

    def _reject(self, reason: str, excerpt: str) -> None:
        if len(self.rejected) < MAX_REJECTED:
            self.rejected.append(Rejected(reason, excerpt[:EXCERPT_LENGTH]))


def _began(value: Value, *, alone: bool) -> bool:
    """Whether an unclosed value is an answer that was cut off, rather than a bracket in prose."""
    if isinstance(value, Object):
        return alone or bool(value.pairs)
    return isinstance(value, Array) and any(isinstance(item, Object) for item in value.items)


# --- one finding ----------------------------------------------------------------------------------------------------

_PLACEHOLDER = re.compile(r"\W*|<[^<>]*>")
_NUMBER = r"[LR]?0*([1-9][0-9]{0,9})(?:\.0+)?"
_LINE_RANGE = re.compile(rf"{_NUMBER}(?:\s*[-\u2013\u2014:]\s*{_NUMBER})?", re.I)
_SEVERITY_WORDS: dict[str, Severity] = {
    **{severity: severity for severity in SEVERITIES},
    **dict.fromkeys(("blocker", "severe", "fatal"), "critical"),
    **dict.fromkeys(("major", "error", "important"), "high"),
    **dict.fromkeys(("minor", "info", "trivial", "nit", "note", "suggestion"), "low"),
}


def _is_finding(value: Object) -> bool:
    return "path" in value.pairs and not value.pairs.keys().isdisjoint(("title", "body"))


def _finding_from(value: Object, inherited_path: str | None) -> Finding | str:
    """The finding that a whole object describes, or why it is none."""
    pairs = value.pairs
    path = _text(pairs.get("path")) or inherited_path or ""
    title, body = _text(pairs.get("title")), _text(pairs.get("body"))
    if _PLACEHOLDER.fullmatch(path):
        return "no path"
    if _PLACEHOLDER.fullmatch(title + body):
        return "neither title nor body"
    line, last_line = _lines(pairs.get("line"))
    end_first, end_last = _lines(pairs.get("end_line"))
    return Finding(
        path=path,
        title=title,
        body=body,
        line=line,
        end_line=end_last or end_first or last_line,
        side="LEFT" if _text(pairs.get("side")).upper() == "LEFT" else "RIGHT",
        severity=_SEVERITY_WORDS.get(_text(pairs.get("severity")).lower(), "medium"),
        category=_text(pairs.get("category")) or "bug",
        quote=_code(pairs.get("quote")),
        suggestion=_code(pairs.get("suggestion")),
    )


def _text(value: Value) -> str:
    """Words without outer blanks; nothing for what is no text, or broke off."""
    if isinstance(value, bool | Cut) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip()


def _code(value: Value) -> str | None:
    """Code keeps its outer blanks, for they are its indentation."""
    return value if isinstance(value, str) and value.strip() else None


def _lines(value: Value) -> tuple[int | None, int | None]:
    """First and last line of what a model gives as a line: 12, "12", "L12", 12.0, "12-14". Better none than a guess."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None, None
    match = _LINE_RANGE.fullmatch(str(value).strip())
    if not match:
        return None, None
    first, last = int(match.group(1)), int(match.group(2) or match.group(1))
    if max(first, last) > MAX_LINE:
        return None, None
    return first, last if match.group(2) else None
