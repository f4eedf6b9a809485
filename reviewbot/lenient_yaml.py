"""Read an answer that came as YAML into the same tree as lenient JSON, item by item. Pure."""

from __future__ import annotations

import json
import re

import yaml

from reviewbot.lenient_json import EXCERPT_LENGTH, Array, Object, Value

MAX_CHARACTERS = 256 * 1024
MAX_DEPTH = 16

_Loader: type[yaml.CBaseLoader] | type[yaml.BaseLoader] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_START = re.compile(r"^(?:(?:summary|findings):(?=[ \t]|$)|- +path:[ \t])", re.M)
_OPENED_FENCE = re.compile(r"```(?:ya?ml)?\s*(?:---\s*)?\Z")
_FENCE = re.compile(r"^```[ \t]*$", re.M)
_FINDINGS = re.compile(r"findings:[ \t]*$")
_ITEM = re.compile(r"( *)-(?: |$)")
# A plain value that YAML itself would misread: `title: Error: no such file`.
_UNQUOTED = re.compile(r"^( *(?:- +)?\w+: +)([^\s\"'|>\[{][^\n]*(?:: | #)[^\n]*)$", re.M)
_NULLS = ("", "~", "null", "Null", "NULL", "None")


def find_start(text: str, position: int) -> int | None:
    """Where a YAML answer begins in `text` at or behind `position`, None when there is none."""
    match = _START.search(text, position)
    return match.start() if match else None


def read_answer(text: str, start: int, *, truncated: bool) -> Object:
    """The answer that begins at `text[start]`: an object with `summary` and `findings`, as far as they could be read.

    An item that is no YAML stands in the findings as its own text. Of a truncated answer the last item is not whole,
    and neither is a last item that has no words yet.
    """
    fenced = _OPENED_FENCE.search(text, max(0, start - 20), start) is not None
    text = text[start:]
    if fence := _FENCE.search(text):
        text = text[: fence.start()]
    elif fenced or len(text) > MAX_CHARACTERS:
        text, truncated = text[:MAX_CHARACTERS], True
    head, chunks = _split(text.expandtabs(2).splitlines())
    answer = _load(head)
    if not isinstance(answer, Object):
        answer = Object(head[:EXCERPT_LENGTH])
    answer.whole = not truncated
    if chunks:
        items = [_item(chunk) for chunk in chunks]
        last = items[-1]
        if isinstance(last, Object) and (truncated or not ("title" in last.pairs or "body" in last.pairs)):
            last.whole = answer.whole = False
        answer.pairs["findings"] = Array(items, answer.whole)
    elif answer.pairs.get("findings", "") is None:  # "findings:" and nothing behind it
        answer.pairs["findings"], answer.whole = Array(), False
    return answer


def _split(lines: list[str]) -> tuple[str, list[str]]:
    """The lines that are no items, and each item's text."""
    head: list[str] = []
    chunks: list[list[str]] = []
    indent: int | None = None  # of the items' dashes; None: no item yet
    inside = False
    for line in lines:
        match = _ITEM.match(line)
        if match and indent is None and (not head or _FINDINGS.match(head[-1])):
            indent = len(match.group(1))
        if match and len(match.group(1)) == indent:
            inside = True
            chunks.append([line])
        elif inside and (not line.strip() or len(line) - len(line.lstrip()) > (indent or 0)):
            chunks[-1].append(line)
        elif line.strip() or head:
            inside = False
            head.append(line)
    return "\n".join(head), ["\n".join(chunk) for chunk in chunks]


def _item(chunk: str) -> Value:
    for form in (chunk, _UNQUOTED.sub(lambda match: match.group(1) + json.dumps(match.group(2)), chunk)):
        value = _load(form)
        if isinstance(value, Array) and len(value.items) == 1 and isinstance(value.items[0], Object):
            return value.items[0]
    return chunk


def _load(text: str) -> Value:
    """The document as a tree of objects, arrays and strings; None when it is no YAML, too deep, or uses aliases."""
    try:
        depth = 0
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH or isinstance(event, yaml.AliasEvent):
                return None
        return _tree(yaml.load(text, Loader=_Loader), text)
    except yaml.YAMLError:
        return None


def _tree(value: object, text: str) -> Value:
    if isinstance(value, dict):
        pairs = {str(key): _tree(member, text) for key, member in value.items()}
        return Object(text[:EXCERPT_LENGTH], pairs, True)
    if isinstance(value, list):
        return Array([_tree(item, text) for item in value], True)
    return None if value in _NULLS else str(value)
