"""Read a small YAML file that strangers wrote into a msgspec type: every fault with its line, nothing guessed. Pure.

Read by the type that is wanted, not by what YAML takes a plain word for: `language: no` is a text and no truth value.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec
import msgspec.inspect as shape
import yaml

MAX_BYTES = 16 * 1024
MAX_DEPTH = 10
MAX_FAULTS = 10
MAX_SHOWN = 40  # characters of a key that a fault repeats

_Loader: type[yaml.CSafeLoader] | type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_EMPTY = ("", "~", "null", "Null", "NULL")

T = TypeVar("T")


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with a file, and in which line, counted from 1."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


class _Refused(Exception):
    """The value cannot be used; what is wrong with it was noted, or is in `fault`."""

    def __init__(self, fault: Fault | None = None) -> None:
        super().__init__()
        self.fault = fault


def read_yaml(raw: bytes, wanted: type[T], refused: Mapping[str, str] | None = None) -> T | tuple[Fault, ...]:
    """The struct `wanted` out of one YAML document, or what is wrong with it: at most MAX_FAULTS, and how many more.

    `refused` are keys, wherever they stand, with the sentence that says why they are none. A field's constraints are
    those of its msgspec.Meta; `extra["check"]` there is called with a text, and gives what is wrong with it or None.
    """
    reader = _Reader(refused or {})
    try:
        root = _compose(raw)
        read = {} if root is None or _is_empty(root) else reader.read_fields(root, _struct(wanted))
    except _Refused as stopped:
        reader.faults += [stopped.fault] if stopped.fault else []
        read = {}
    if reader.faults:
        return _bounded(sorted(reader.faults, key=lambda fault: fault.line))
    return msgspec.convert(read, wanted)


def _struct(wanted: type[object]) -> shape.StructType:
    kind = shape.type_info(wanted)
    assert isinstance(kind, shape.StructType)
    return kind


def _bounded(faults: list[Fault]) -> tuple[Fault, ...]:
    kept, beyond = faults[:MAX_FAULTS], faults[MAX_FAULTS:]
    return (*kept, Fault(beyond[0].line, f"and {len(beyond)} more from here on")) if beyond else tuple(kept)


# --- bytes to nodes -------------------------------------------------------------------------------------------------


def _compose(raw: bytes) -> yaml.Node | None:
    """The document's root, None when it is empty. Raises _Refused for what is no YAML or more than is wanted of it."""
    if len(raw) > MAX_BYTES:
        raise _Refused(Fault(1, f"the file has {len(raw):,} bytes, and at most {MAX_BYTES:,} are read"))
    try:
        text = raw.decode("utf-8-sig")
        for fault in _excesses(text):
            raise _Refused(fault)
        root: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _Refused(Fault(line, "this is no UTF-8 text")) from error
    except yaml.reader.ReaderError as error:
        raise _Refused(Fault(1, f"the file has a character that no YAML may have: U+{_code(error):04X}")) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _Refused(Fault(mark.line + 1 if mark else 1, f"this is no YAML: {error.problem}")) from error
    return root


def _code(error: yaml.reader.ReaderError) -> int:
    character = error.character
    return character if isinstance(character, int) else ord(character[:1] or "\ufffd")


def _excesses(text: str) -> Iterator[Fault]:
    """What of YAML is not taken: found as it is met, so that nothing of it is ever built."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        line = event.start_mark.line + 1 if event.start_mark else 1
        if depth > MAX_DEPTH:
            yield Fault(line, f"this is nested more than {MAX_DEPTH} deep")
        if documents > 1:
            yield Fault(line, "a second document begins here: there may be one alone")
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            yield Fault(line, "anchors and aliases (& and *) are not taken: write it out, or put it in quotes")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            yield Fault(line, "tags (!) are not taken: write it without, or put it in quotes")


# --- nodes to values ------------------------------------------------------------------------------------------------


class _Reader:
    """Reads nodes by the types that are wanted, and collects what is wrong with them."""

    def __init__(self, refused: Mapping[str, str]) -> None:
        self._refused = refused
        self.faults: list[Fault] = []

    def read_fields(self, node: yaml.Node, wanted: shape.StructType, where: str = "") -> dict[str, object]:
        """The fields that a mapping has of a struct. Those that stand empty are left to their defaults."""
        if not isinstance(node, yaml.MappingNode):
            raise self._wrong(node, where or "the file", "must be a mapping of names and values")
        fields = {field.encode_name: field for field in wanted.fields}
        found: dict[str, object] = {}
        lines: dict[str, int] = {}
        tried = set()
        for key_node, value in node.value:
            key = self._key(key_node, fields, lines)
            if key is None or _is_empty(value):
                continue
            tried.add(key)
            with contextlib.suppress(_Refused):  # the others may be at fault, too
                found[key] = self._read(value, fields[key].type, f"`{key}`")
        for name, field in fields.items():
            if field.required and name not in tried:
                self._note(node, f"{where} needs `{name}`")
        return found

    def _key(self, node: yaml.Node, fields: Mapping[str, shape.Field], lines: dict[str, int]) -> str | None:
        """The name of a field, or None with a fault."""
        if not isinstance(node, yaml.ScalarNode):
            self._note(node, "a name must be a single word")
            return None
        key, shown = node.value, node.value[:MAX_SHOWN]
        if key in lines:
            self._note(node, f"`{shown}` stands here a second time, after line {lines[key]}")
            return None
        lines[key] = node.start_mark.line + 1
        if key not in fields:
            self._note(node, self._stranger(key, shown, fields))
            return None
        return str(key)

    def _stranger(self, key: str, shown: str, fields: Mapping[str, shape.Field]) -> str:
        if key == "<<":
            return "merge keys (<<) are not taken: write it out"
        if key.lower() in self._refused:
            return f"`{shown}` {self._refused[key.lower()]}"
        told = len(self.faults) < MAX_FAULTS  # looking for a likeness is most of the work for a file full of strangers
        near = difflib.get_close_matches(shown, fields, n=1) if told else ()
        return f"`{shown}` is no setting" + (f": did you mean `{near[0]}`?" if near else "")

    def _read(self, node: yaml.Node, kind: shape.Type, where: str) -> object:
        """A value of that kind. Raises _Refused with the fault noted."""
        check: Callable[[str], str | None] | None = None
        if isinstance(kind, shape.Metadata):
            check = (kind.extra or {}).get("check")
            kind = kind.type
        if isinstance(kind, shape.UnionType):  # with None, for what may be left out
            (kind,) = (each for each in kind.types if not isinstance(each, shape.NoneType))
            return self._read(node, kind, where)
        if isinstance(kind, shape.StructType):
            return self.read_fields(node, kind, where)
        if isinstance(kind, shape.VarTupleType):
            return self._items(node, kind, where)
        if not isinstance(node, yaml.ScalarNode):
            raise self._wrong(node, where, f"must be {_words(kind)}, not a list or a mapping")
        value = _scalar(node, kind)
        if value is None:
            raise self._wrong(node, where, f"must be {_words(kind)}")
        complaint = check(node.value) if check else None
        if complaint is not None:
            raise self._wrong(node, where, complaint)
        return value

    def _items(self, node: yaml.Node, kind: shape.VarTupleType, where: str) -> list[object]:
        if not isinstance(node, yaml.SequenceNode):
            raise self._wrong(node, where, 'must be a list: each entry on a line of its own, behind a "- "')
        most = kind.max_length
        if most is not None and len(node.value) > most:
            raise self._wrong(node, where, f"has {len(node.value)} entries, and may have {most}")
        least = kind.min_length
        if least is not None and len(node.value) < least:
            raise self._wrong(node, where, "must not be empty")
        items = []
        for item in node.value:
            with contextlib.suppress(_Refused):
                items.append(self._read(item, kind.item_type, f"an entry of {where}"))
        return items

    def _wrong(self, node: yaml.Node, where: str, what: str) -> _Refused:
        self._note(node, f"{where} {what}")
        return _Refused()

    def _note(self, node: yaml.Node, reason: str) -> None:
        self.faults.append(Fault(node.start_mark.line + 1, reason))


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style and node.value in _EMPTY


def _scalar(node: yaml.ScalarNode, kind: shape.Type) -> Any:
    """The value, or None when it is none of that kind."""
    text: str = node.value
    plain = not node.style
    match kind:
        case shape.BoolType():
            return {"true": True, "false": False}.get(text) if plain else None
        case shape.IntType():
            number = int(text) if plain and text.isascii() and text.isdigit() and len(text) <= 9 else -1
            return number if (kind.ge or 0) <= number <= (kind.le or 10**9) else None
        case shape.LiteralType():
            return text if text in kind.values else None
        case shape.StrType():
            return text if (kind.min_length or 0) <= len(text) <= (kind.max_length or MAX_BYTES) else None
    raise TypeError(f"no settings are of the kind {kind}")


def _words(kind: shape.Type) -> str:
    match kind:
        case shape.BoolType():
            return "true or false"
        case shape.IntType():
            return f"a whole number from {kind.ge} to {kind.le}"
        case shape.LiteralType():
            return f"one of {', '.join(map(str, kind.values))}"
        case shape.StrType():
            return f"a text of {kind.min_length or 0} to {kind.max_length:,} characters"
    raise TypeError(f"no settings are of the kind {kind}")
