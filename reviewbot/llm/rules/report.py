"""Runs every check over the changed files and shapes what they found into the answer that a model would give."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec

from reviewbot.llm.base import ChangedFile
from reviewbot.llm.rules.catalog import CHECKS
from reviewbot.llm.rules.model import Clock, Hit, NotChecked, Severity

MAX_FILE_BYTES = 1_000_000
MAX_SAME_RULE = 3  # in one file; the last one tells of the others
MAX_FINDINGS = 100
_QUOTE_LINES = 5
_RANK: dict[Severity, int] = {"critical": 0, "high": 1, "medium": 2, "low": 3}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One finding in the shape of the answer's schema."""

    path: str
    line: int
    end_line: int
    side: str = "RIGHT"
    severity: Severity
    category: str
    title: str
    body: str
    quote: str | None
    suggestion: str | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer."""

    summary: str
    findings: list[Finding]


def review(files: Iterable[ChangedFile], clock: Clock) -> Report:
    """All findings on added lines, most severe first; a file that is too large or too slow is named in the summary."""
    findings: list[Finding] = []
    skipped: list[str] = []
    looked_at = 0
    for file in sorted(files, key=lambda file: file.path):
        if _size(file) > MAX_FILE_BYTES:
            skipped.append(f"{file.path} (over {MAX_FILE_BYTES // 1000} kB)")
            continue
        hits, reason = _hits(file, clock)
        findings += _shape(file, hits)
        looked_at += 1
        if reason:
            skipped.append(f"{file.path} ({reason})")
    findings.sort(key=lambda finding: (_RANK[finding.severity], finding.path, finding.line, finding.title))
    return Report(summary=_summary(looked_at, skipped, len(findings)), findings=findings[:MAX_FINDINGS])


def _size(file: ChangedFile) -> int:
    fragments = sum(len(line) + 1 for fragment in file.fragments for line in fragment.lines)
    return max(fragments, len(file.content or ""))


def _hits(file: ChangedFile, clock: Clock) -> tuple[list[Hit], str]:
    """What the checks found, one hit for each line and rule, and why they stopped early ("" when they did not)."""
    clock.start_file()
    once: dict[tuple[int, str], Hit] = {}
    reason = ""
    try:
        for check in CHECKS:
            for hit in check(file, clock):
                once.setdefault((hit.line, hit.rule), hit)
    except NotChecked as why:
        reason = str(why)
    return sorted(once.values(), key=lambda hit: (hit.line, hit.end_line, hit.rule)), reason


def _shape(file: ChangedFile, hits: list[Hit]) -> Iterator[Finding]:
    by_rule: dict[str, list[Hit]] = defaultdict(list)
    for hit in hits:
        by_rule[hit.rule].append(hit)
    texts = {number: text for fragment in file.fragments for number, text in enumerate(fragment.lines, fragment.start)}
    for same in by_rule.values():
        for hit in same[:MAX_SAME_RULE]:
            others = same[MAX_SAME_RULE:] if hit is same[:MAX_SAME_RULE][-1] else []
            yield _finding(file.path, hit, others, texts)


def _finding(path: str, hit: Hit, others: list[Hit], texts: dict[int, str]) -> Finding:
    more = ""
    if others:
        lines = ", ".join(str(other.line) for other in others[:10]) + (", ..." if len(others) > 10 else "")
        more = f"\n\nAnd {len(others)} more like it in this file: line {lines}."
    numbers = range(hit.line, min(hit.end_line, hit.line + _QUOTE_LINES - 1) + 1)
    quote = "\n".join(texts[number] for number in numbers if number in texts)
    return Finding(
        path=path,
        line=hit.line,
        end_line=hit.end_line,
        severity=hit.severity,
        category=hit.category,
        title=hit.title,
        body=f"{hit.body}{more}\n\nRule: `{hit.rule}`",
        quote=(quote or None) if hit.quotable else None,
    )


def _summary(looked_at: int, skipped: list[str], found: int) -> str:
    files = "1 changed file" if looked_at == 1 else f"{looked_at} changed files"
    things = {0: "nothing to report", 1: "1 finding"}.get(found, f"{found} findings")
    text = f"Checked the added lines of {files} with offline rules: {things}."
    if found > MAX_FINDINGS:
        text += f" Only the {MAX_FINDINGS} most severe are listed."
    if skipped:
        shown = ", ".join(skipped[:10]) + (f" and {len(skipped) - 10} others" if len(skipped) > 10 else "")
        text += f" Not fully checked: {shown}."
    return text
