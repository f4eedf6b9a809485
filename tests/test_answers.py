"""Any answer of a model is read as far as it goes: recorded ones, odd ones, and whatever hypothesis makes up."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.answers import MAX_CHARACTERS, MAX_FINDINGS, MAX_LINE, MAX_VALUES, parse_answer
from reviewbot.findings import SEVERITIES, Finding

RECORDS = [
    json.loads(line)
    for line in (Path(__file__).parent / "samples" / "answers.jsonl").read_text(encoding="ascii").split("\n")
    if line
]


def _comparable(finding: dict[str, Any], loose: list[str]) -> dict[str, Any]:
    """A finding with what the records call equal made the same."""
    plain = {key: value.strip() if isinstance(value, str) else value for key, value in finding.items()}
    plain["end_line"] = plain.get("end_line") or plain.get("line")
    plain["side"] = plain.get("side") or "RIGHT"
    return {key: value or None for key, value in plain.items() if key not in loose}


@pytest.mark.parametrize("record", RECORDS, ids=[record["id"] for record in RECORDS])
def test_every_recorded_answer_is_salvaged(record: dict[str, Any]) -> None:
    parsed = parse_answer(record["raw"], truncated=False)
    found = [
        _comparable({f: getattr(finding, f) for f in Finding.__struct_fields__}, record["loose"])
        for finding in parsed.findings
    ]
    assert found == [_comparable(finding, record["loose"]) for finding in record["expected"]]
    assert parsed.outcome == record["outcome"]
    if record["summary"] is not None:
        assert parsed.summary == record["summary"]


# --- what the records do not show -----------------------------------------------------------------------------------

ONE = '{"path": "a/b.py", "line": 3, "title": "T"}'
TWO = '{"path": "c.py", "title": "U"}'
INNER = f'{{"summary": "s", "findings": [{ONE}]}}'
ODD = {
    "a bare list": (f"[{ONE}, {TWO}]", "whole", ["T", "U"]),
    "an object a line": (f"{ONE}\n{TWO}", "whole", ["T", "U"]),
    "a repeat": (f"[{ONE}, {TWO}, {ONE}]", "whole", ["T", "U"]),
    "a list without findings": ("```json\n[]\n```", "whole", []),
    "thinking that only ends": (f'draft {ONE}\n</think>\n{{"summary": "x", "findings": []}}', "whole", []),
    "thinking that never ends": (f"<think>{ONE}", "none", []),
    "thinking in square brackets": (f"[THINK]{ONE}[/THINK]{INNER}", "whole", ["T"]),
    "channels": (f"<|channel|>analysis<|message|>{TWO}<|end|><|channel|>final<|message|>{INNER}", "whole", ["T"]),
    "thinking under a key": (f'{{"thinking": {TWO}, "answer": {INNER}}}', "whole", ["T"]),
    "JSON in a summary": (json.dumps({"summary": INNER, "findings": []}), "whole", []),
    "JSON in a body": (json.dumps({"findings": [{"path": "a", "title": "T", "body": INNER}]}), "whole", ["T"]),
    "thinking in a body": (json.dumps({"findings": [{"path": "a", "title": "T", "body": "</think>"}]}), "whole", ["T"]),
    "other keys beside the findings": (f'{{"findings": [{ONE}], "dropped": [{TWO}]}}', "whole", ["T"]),
    "findings as text": (json.dumps({"summary": "s", "findings": f"[{ONE}]"}), "whole", ["T"]),
    "a message with content": (json.dumps({"choices": [{"message": {"content": INNER}}]}), "whole", ["T"]),
    "a tool use": (f'{{"content": [{{"type": "tool_use", "input": {INNER}}}]}}', "whole", ["T"]),
    "a call in tags": (f'<invoke><parameter name="findings">[{ONE}]</parameter></invoke>', "whole", ["T"]),
    "twice encoded": (json.dumps(json.dumps(INNER)), "whole", ["T"]),
    "HTML escapes": (INNER.replace('"', "&quot;"), "whole", ["T"]),
    "escaped quotes": (INNER.replace('"', '\\"'), "whole", ["T"]),
    "an encoded answer, cut": (json.dumps(f'{{"findings": [{ONE}, {TWO}]}}')[:-8], "partial", ["T"]),
    "a tool call, cut": (json.dumps({"arguments": f'{{"findings": [{ONE}, {TWO}]}}'})[:-9], "partial", ["T"]),
    "a missing bracket": (f'{{"findings": [{ONE}, {TWO}}}', "whole", ["T", "U"]),
    "a missing brace": (f'{{"findings": [{ONE}, {TWO[:-1]}]}}', "whole", ["T", "U"]),
    "block comments": (f'{{/* {TWO} */"findings": [{ONE}]}}', "whole", ["T"]),
    "tripled quotes": ('{"findings": [{"path": "a", "title": "T", "body": """x "y"\nz"""}]}', "whole", ["T"]),
    "joined strings": ('{"findings": [{"path": "a", "title": "T" +\n "U"}]}', "whole", ["TU"]),
    "an apostrophe": ("{'findings': [{'path': 'a', 'title': 'can't, won't'}]}", "whole", ["can't, won't"]),
    "raw quotes, cut": (
        '{"findings": [{"path": "a", "title": "is "x" y"}, {"path": "b", "title": "u "v',
        "partial",
        ['is "x" y'],
    ),
    "garbage in one": (f'{{"findings": [{ONE}, {{"path": "b" @@ "title"}}, {TWO}]}}', "whole", ["T", "U"]),
    "a whole shape first": (
        f'Form: {{"summary": "...", "findings": [{{"path": "...", "title": "..."}}]}} {INNER}',
        "whole",
        ["T"],
    ),
    "no path, no words, no object": (
        f'{{"findings": [{{"title": "x"}}, {{"path": "a"}}, "x", 7, {ONE}]}}',
        "whole",
        ["T"],
    ),
    "prose with brackets, then a cut": (f'See {{this}} and [a](b). {{"findings": [{ONE}, {{"path"', "partial", ["T"]),
    "a summary alone": ('{"summary": "All fine."}', "partial", []),
    "findings that are null": ('{"summary": "x", "findings": null}', "whole", []),
    "findings that are words": ('{"summary": "x", "findings": "none"}', "partial", []),
    "an error": ('{"error": {"message": "overloaded"}}', "none", []),
    "an empty object": ("{}", "none", []),
    "nothing": ("", "none", []),
    "YAML without findings": ("summary: fine\nfindings: []\n", "whole", []),
    "YAML in one line": ("summary: s\nfindings: [{path: a, title: T}]\n", "whole", ["T"]),
    "YAML after thinking": (f"<think>{ONE}</think>\nsummary: s\nfindings:\n- path: a\n  title: T\n", "whole", ["T"]),
    "YAML with a colon, a bad item and a fence": (
        "```yaml\nsummary: s\nfindings:\n- path: a\n  title: Error: gone\n- path: b\n  title: [broken\n"
        "- path: c\n  title: V\n  body: |\n    - x\n    ```\n```\nBye!",
        "whole",
        ["Error: gone", "V"],
    ),
    "YAML, cut in its fence": (
        "```yaml\nsummary: s\nfindings:\n- path: a\n  title: T\n- path: b\n  title: Wor",
        "partial",
        ["T"],
    ),
    "YAML, cut at a list": ("summary: s\nfindings:\n", "partial", []),
    "YAML with an alias": ("findings:\n- path: &x a\n  title: *x\n", "whole", []),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_is_read_as_far_as_it_goes(name: str) -> None:
    raw, outcome, titles = ODD[name]
    parsed = parse_answer(raw, truncated=False)
    assert (parsed.outcome, [finding.title for finding in parsed.findings]) == (outcome, titles)


@pytest.mark.parametrize(
    ("line", "end_line", "read"),
    [
        (12, None, (12, None)),
        ("12", "14", (12, 14)),
        ("L12", "L14", (12, 14)),
        ("R12", None, (12, None)),
        (12.0, 14.0, (12, 14)),
        (" 12 ", None, (12, None)),
        ("12-14", None, (12, 14)),
        ("L12-L14", "", (12, 14)),
        ("12\u201314", None, (12, 14)),
        (None, None, (None, None)),
        (12.5, None, (None, None)),
        ("12.5", None, (None, None)),
        (0, None, (None, None)),
        (-3, None, (None, None)),
        ("-3", None, (None, None)),
        (True, None, (None, None)),
        ("twelve", None, (None, None)),
        (float("inf"), None, (None, None)),
        (10**30, None, (None, None)),
        ("9" * 5000, None, (None, None)),
        ("\u0661\u0662", None, (None, None)),
    ],
)
def test_a_line_is_a_number_or_nothing(line: object, end_line: object, read: tuple[int | None, int | None]) -> None:
    raw = json.dumps({"findings": [{"path": "a", "title": "T", "line": line, "end_line": end_line}]})
    (finding,) = parse_answer(raw, truncated=False).findings
    assert (finding.line, finding.end_line) == read


def test_what_was_not_kept_is_named_with_its_reason() -> None:
    raw = f'{{"findings": [{{"title": "x"}}, {{"path": "a", "body": " "}}, "words", {ONE}, {{"path": "b", "ti'
    assert [each.reason for each in parse_answer(raw, truncated=False).rejected] == [
        "no path",
        "neither title nor body",
        "not a finding",
        "the answer breaks off inside this finding",
    ]


@pytest.mark.parametrize(
    ("raw", "usable"),
    [("{", False), ("", False), ('{"summary": "s", "findings": [', True), (INNER, True), ('{"findings": []}', True)],
)
def test_only_an_answer_that_says_something_is_usable(raw: str, usable: bool) -> None:
    assert parse_answer(raw, truncated=False).usable is usable


def test_what_lies_behind_too_many_values_makes_the_answer_partial() -> None:
    assert parse_answer("[] " * MAX_VALUES + INNER, truncated=False).outcome == "none"
    assert parse_answer(INNER + "[] " * MAX_VALUES + ONE, truncated=False).outcome == "partial"


def test_an_answer_that_the_provider_cut_is_never_whole() -> None:
    assert parse_answer(INNER, truncated=True).outcome == "partial"
    assert parse_answer("", truncated=True).outcome == "none"


def test_half_a_character_becomes_a_replacement_character() -> None:
    raw = r'{"findings": [{"path": "a", "title": "\ud83d x \ud83d\ude00 \udc00"}]}'
    assert parse_answer(raw, truncated=False).findings[0].title == "\ufffd x \U0001f600 \ufffd"


def test_code_keeps_its_indentation() -> None:
    raw = json.dumps({"findings": [{"path": " a ", "title": " T ", "quote": "    x = 1\n", "suggestion": " \n"}]})
    (finding,) = parse_answer(raw, truncated=False).findings
    assert (finding.path, finding.title, finding.quote, finding.suggestion) == ("a", "T", "    x = 1\n", None)


# --- bounds ---------------------------------------------------------------------------------------------------------


def test_the_number_of_findings_is_bounded_and_the_rest_is_named() -> None:
    raw = json.dumps({"findings": [{"path": "a", "title": f"T{number}"} for number in range(MAX_FINDINGS + 3)]})
    parsed = parse_answer(raw, truncated=False)
    assert len(parsed.findings) == MAX_FINDINGS
    assert [each.reason for each in parsed.rejected] == [f"more than {MAX_FINDINGS} findings"] * 3


def test_beyond_the_largest_size_an_answer_counts_as_cut() -> None:
    raw = json.dumps({"findings": [json.loads(ONE), {"path": "a", "title": "x" * MAX_CHARACTERS}]})
    parsed = parse_answer(raw, truncated=False)
    assert (parsed.outcome, [finding.title for finding in parsed.findings]) == ("partial", ["T"])


@pytest.mark.parametrize(
    "unit", ["[", "{", '{"a":', "[{", '{"a": "b" c', '{"a": "x" "b"', '["', "<think>", '{"findings":["', "- "]
)
def test_deep_and_endless_answers_are_read_without_recursion(unit: str) -> None:
    assert parse_answer(unit * 4_000, truncated=False).findings == ()
    assert parse_answer("findings: " + unit * 4_000, truncated=False).findings == ()


# --- properties -----------------------------------------------------------------------------------------------------

WORDS = st.text(st.characters(codec="utf-8"), max_size=30)
TITLES = st.builds("{}x{}".format, WORDS, WORDS).map(str.strip)
CODE = st.none() | TITLES.map("  {}".format)
LINES = st.none() | st.integers(1, MAX_LINE)
FINDINGS = st.builds(
    Finding,
    path=TITLES,
    title=TITLES,
    body=WORDS.map(str.strip),
    line=LINES,
    end_line=LINES,
    side=st.sampled_from(["LEFT", "RIGHT"]),
    severity=st.sampled_from(SEVERITIES),
    category=TITLES,
    quote=CODE,
    suggestion=CODE,
)
ANSWERS = st.tuples(TITLES, st.lists(FINDINGS, max_size=5, unique=True))
FRAGMENTS = st.sampled_from(
    [
        *"{}[]\":,\\\n'`#-",
        INNER,
        ONE,
        "<think>",
        "</think>",
        "findings:\n",
        "- path: a\n",
        "```",
        '\\"',
        "/*",
        "null",
        "&quot;",
    ]
)


def written(answer: tuple[str, list[Finding]], *, ascii_only: bool, indent: int | None) -> str:
    summary, findings = answer
    return json.dumps(
        {"summary": summary, "findings": msgspec.to_builtins(findings)}, ensure_ascii=ascii_only, indent=indent
    )


@given(ANSWERS, st.booleans(), st.sampled_from([None, 2]))
def test_any_valid_answer_comes_through_unchanged(
    answer: tuple[str, list[Finding]], ascii_only: bool, indent: int | None
) -> None:
    parsed = parse_answer(written(answer, ascii_only=ascii_only, indent=indent), truncated=False)
    assert (parsed.summary, list(parsed.findings)) == answer
    assert (parsed.outcome, parsed.rejected) == ("whole", ())


@given(ANSWERS, st.floats(0, 1), st.booleans())
def test_any_beginning_of_an_answer_gives_a_beginning_of_its_findings(
    answer: tuple[str, list[Finding]], share: float, ascii_only: bool
) -> None:
    raw = written(answer, ascii_only=ascii_only, indent=None)
    kept = raw[: int(len(raw) * share)]
    parsed = parse_answer(kept, truncated=True)
    assert list(parsed.findings) == answer[1][: len(parsed.findings)]
    assert parsed.outcome == ("partial" if kept else "none")
    if len(kept) < len(raw):
        assert parse_answer(kept, truncated=False).outcome == parsed.outcome


@given(st.text() | st.lists(FRAGMENTS | st.text(max_size=3), max_size=30).map("".join), st.booleans())
def test_no_text_makes_the_parser_raise(text: str, truncated: bool) -> None:
    parsed = parse_answer(text, truncated=truncated)
    assert not (truncated and parsed.outcome == "whole")
    assert not (parsed.findings and parsed.outcome == "none")
