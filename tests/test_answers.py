import json
from pathlib import Path
from typing import Any

import pytest

from reviewbot.answers import parse_answer
from reviewbot.findings import Finding

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


def whole(findings: list[dict[str, Any]], summary: str = "S.") -> str:
    return json.dumps({"summary": summary, "findings": findings})


ONE = {"path": "a.py", "line": 3, "title": "T"}
