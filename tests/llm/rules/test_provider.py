"""The offline provider answers as a model would: JSON of the asked shape, on added lines only, within bounds."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from reviewbot.llm.base import Answer, ChangedFile, Fragment, Prompt
from reviewbot.llm.rules.provider import RulesProvider
from reviewbot.llm.rules.report import MAX_FILE_BYTES

SWALLOWED = "try:\n    send()\nexcept Exception:\n    pass"


def changed(path: str, code: str, *, start: int = 1, added: set[int] | None = None, whole: bool = True) -> ChangedFile:
    lines = tuple(code.split("\n"))
    numbers = frozenset(range(start, start + len(lines))) if added is None else frozenset(added)
    return ChangedFile(path=path, fragments=(Fragment(start, lines),), added=numbers, content=code if whole else None)


async def ask(*files: ChangedFile, provider: RulesProvider | None = None) -> Answer:
    prompt = Prompt(system="", user="", answer_schema={}, max_output_tokens=1, files=files)
    return await (provider or RulesProvider()).ask(prompt)


async def findings(*files: ChangedFile) -> list[dict[str, Any]]:
    answer = await ask(*files)
    found: list[dict[str, Any]] = msgspec.json.decode(answer.text)["findings"]
    return found


async def test_the_answer_has_the_shape_that_every_model_is_asked_for() -> None:
    answer = await ask(changed("a.py", SWALLOWED))
    text = msgspec.json.decode(answer.text)
    assert (answer.provider, answer.model, answer.finish) == ("rules", "rules-1", "complete")
    assert answer.usage.input_tokens == answer.usage.output_tokens == 0
    assert set(text) == {"summary", "findings"}
    [finding] = text["findings"]
    assert (finding["path"], finding["line"], finding["end_line"], finding["side"]) == ("a.py", 3, 4, "RIGHT")
    assert (finding["severity"], finding["category"]) == ("high", "swallowed-exception")
    assert finding["quote"] == "except Exception:\n    pass"
    assert finding["body"].endswith("Rule: `py-swallowed-exception`")
    assert finding["suggestion"] is None


async def test_what_was_there_before_is_not_reported() -> None:
    assert await findings(changed("a.py", SWALLOWED + "\nx = 1", added={5})) == []


async def test_a_finding_on_a_fragment_has_the_lines_of_the_file() -> None:
    indented = "\n".join("        " + line for line in SWALLOWED.split("\n"))
    [finding] = await findings(changed("a.py", indented, start=41, whole=False))
    assert (finding["line"], finding["end_line"]) == (43, 44)


async def test_rules_about_what_is_missing_elsewhere_do_not_run_on_a_fragment() -> None:
    code = "class A {\n  public boolean equals(Object o) { return true; }\n}"
    assert len(await findings(changed("A.java", code))) == 1
    assert await findings(changed("A.java", code, whole=False)) == []


async def test_a_long_match_is_told_at_its_first_added_line() -> None:
    code = "useEffect(() => {\n" + "  setInterval(tick, 1);\n" * 20 + "}, []);"
    [finding] = await findings(changed("a.jsx", code, added={7, 8}))
    assert (finding["line"], finding["end_line"]) == (7, 7)


async def test_the_same_rule_is_told_three_times_a_file_and_then_counted() -> None:
    found = await findings(changed("a.py", "\n".join(f"breakpoint({n})" for n in range(10))))
    assert [finding["line"] for finding in found] == [1, 2, 3]
    assert "And 7 more like it in this file: line 4, 5, 6, 7, 8, 9, 10." in found[2]["body"]
    assert "more like it" not in found[0]["body"]


async def test_findings_come_most_severe_first_and_in_the_same_order_every_time() -> None:
    files = (changed("b.py", "print('here')\n" + SWALLOWED), changed("a.py", "<<<<<<< HEAD\nbreakpoint()"))
    first, second = await ask(*files), await ask(*reversed(files))
    assert first.text == second.text
    assert [f["severity"] for f in msgspec.json.decode(first.text)["findings"]] == ["critical", "high", "high", "low"]


async def test_rules_for_production_code_spare_tests() -> None:
    code = "import requests\nrequests.get('http://localhost')"
    assert len(await findings(changed("app/client.py", code))) == 1
    assert await findings(changed("tests/test_client.py", code)) == []


async def test_a_file_that_is_too_large_is_named_in_the_summary() -> None:
    answer = await ask(changed("big.py", "x = 1\n" * (MAX_FILE_BYTES // 6 + 1)), changed("a.py", SWALLOWED))
    text = msgspec.json.decode(answer.text)
    assert "Not fully checked: big.py (over 1000 kB)." in text["summary"]
    assert [finding["path"] for finding in text["findings"]] == ["a.py"]


async def test_a_file_that_takes_too_long_keeps_what_was_found_and_is_named() -> None:
    answer = await ask(changed("a.py", "x = 1"), provider=RulesProvider(file_seconds=0))
    assert "Not fully checked: a.py (took too long)." in msgspec.json.decode(answer.text)["summary"]


@pytest.mark.parametrize(
    "code",
    ["x = " + "(" * 5000 + ")" * 5000, "x = " + "a + " * 5000 + "a", "x = a" + ".b()" * 5000],
    ids=["brackets", "sum", "calls"],
)
async def test_deep_nesting_is_refused_before_any_rule_walks_it(code: str) -> None:
    answer = await ask(changed("a.py", "<<<<<<< HEAD\n" + code))
    text = msgspec.json.decode(answer.text)
    assert "nested too deeply" in text["summary"]
    assert [finding["title"] for finding in text["findings"]] == ["Merge conflict marker left in the file"]


async def test_the_loop_stays_free_and_a_cancelled_question_stops_its_thread() -> None:
    files = [changed("a.py", SWALLOWED)] * 60_000
    question = asyncio.create_task(ask(*files))
    await asyncio.sleep(0.05)
    question.cancel()
    with pytest.raises(asyncio.CancelledError):
        await question
    # Unstopped, the thread would go on for its whole minute, and the executor wait for it.
    await asyncio.wait_for(asyncio.get_running_loop().shutdown_default_executor(), 15)


@pytest.mark.parametrize("text", ["\ud800", "\x00", "def f(:\n  <<", "\r\n\r", "}{)("])
async def test_odd_text_never_raises(text: str) -> None:
    await ask(*(changed(path, text) for path in ("a.py", "a.ts", "a.tsx", "a.go", "A.java", ".env", "noending")))


async def test_crlf_lines_are_counted_like_any_other() -> None:
    [finding] = await findings(changed("a.py", SWALLOWED.replace("\n", "\r\n")))
    assert finding["line"] == 3
