"""Read JSON as models write it: comments, stray commas, odd quotes, broken escapes, cut off anywhere. Pure.

No library does this job: strict ones lose everything at the first slip, and repairing ones complete what was cut off,
so that a finding broken off in the middle looks like a whole one. Here whatever was not closed says so. The reader
keeps its own stack and looks at each character a bounded number of times.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

MAX_DEPTH = 32
EXCERPT_LENGTH = 160  # characters

State = Literal["whole", "cut", "broken"]


class Cut(str):
    """A string whose closing quote never came."""

    __slots__ = ()


@dataclass(slots=True)
class Object:
    """A JSON object. `whole` is False when the text ended or became unreadable before it was closed."""

    excerpt: str
    pairs: dict[str, Value] = field(default_factory=dict)  # the last value of a repeated key
    whole: bool = False


@dataclass(slots=True)
class Array:
    """A JSON array; `whole` as for objects."""

    items: list[Value] = field(default_factory=list)
    whole: bool = False


Container: TypeAlias = Object | Array
Value: TypeAlias = Object | Array | str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read from `start` to `end`: closed ("whole"), the text ended ("cut"), or no JSON any more ("broken")."""

    value: Container
    end: int
    state: State
    objects: int  # closed objects in it
    spent: int  # characters looked at, more than its length when it was read twice


_BLANKS = re.compile(r"(?:[\s\ufeff\u200b]+|//[^\n]*|#[^\n]*|/\*.*?(?:\*/|\Z))*", re.S)
_BARE_KEY = re.compile(r"[A-Za-z_$][\w$.-]{0,255}")
_BARE_VALUE = re.compile(r"(?:[^\s,:{}\[\]\"'“”‘’`/]|/(?![/*]))+")
_CLOSERS = {'"': '"', "'": "'", "`": "`", "“": "”“", "„": "“”", "”": "”", "‘": "’", "«": "»"}
_RUNS = {closers: re.compile(f"[^{closers}\\\\]+") for closers in _CLOSERS.values()}
_TRIPLED = ('"""', "'''")
_JOIN = re.compile(r"\s*\+\s*(?=[\"'`])")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"} | {c: c for c in "\"'`\\/“”‘’"}
_HEX4 = re.compile(r"[0-9A-Fa-f]{4}")
_LOW_SURROGATE = re.compile(r"\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "none": None, "undefined": None}

# Where an unescaped quote may really close its string, judged by what follows it.
_ENDS_KEY = re.compile(r"\s*(?::|\Z)")
_KEY_AHEAD = r"(?:[\"'“][^\"'“”\n]{0,256}(?:[\"'”]\s*:|\Z)|[A-Za-z_$][\w$]{0,63}\s*:)"
_ENDS_VALUE = re.compile(rf"\s*(?:\Z|,\s*(?:\Z|[}}\]]|//|/\*|{_KEY_AHEAD})|\n\s*{_KEY_AHEAD})")
_ENDS_ITEM = re.compile(r"\s*(?:\Z|,\s*(?:\Z|[\"'“\]{\[]))")
_CLOSING = re.compile(r"\s*[}\]]")


class _BrokenError(Exception):
    """What follows is no JSON."""


class _EndError(Exception):
    """The text ended before the outermost bracket was closed."""


def read(text: str, start: int, *, guess_quotes: bool = True) -> Reading:
    """Read the object or array that opens at `text[start]`. Never raises for any text.

    With `guess_quotes`, text that is no JSON when its quotes are taken at face value is read once more, taking a quote
    for the end of a string only where JSON goes on behind it; the reading with more closed objects is returned.
    """
    plain = _Reader(text, start, guessing=False).run()
    if plain.state != "broken" or not guess_quotes:
        return plain
    guessed = _Reader(text, start, guessing=True).run()
    better = guessed if guessed.state == "whole" or guessed.objects > plain.objects else plain
    return replace(better, spent=plain.spent + guessed.spent)


def read_string(text: str, start: int) -> str:
    """The string that opens with the quote at `text[start]`; a `Cut` when it is never closed."""
    return _Reader(text, start, guessing=False).string()


class _Reader:
    """One pass over the text with an explicit stack."""

    def __init__(self, text: str, start: int, *, guessing: bool) -> None:
        self.text = text
        self.position = start
        self.guessing = guessing
        self.stack: list[Container] = []
        self.objects = 0

    def run(self) -> Reading:
        start = self.position
        root = self._open()
        state: State = "whole"
        try:
            while self.stack:
                self._step()
        except _EndError:
            state = "cut"
        except _BrokenError:
            state = "broken"
        return Reading(root, self.position, state, self.objects, self.position - start)

    def _step(self) -> None:
        """Read one member, one item or one closing bracket."""
        self._skip_blanks()
        char = self._peek()
        if char in "}]":
            self._close(char)
        elif char == ",":
            self.position += 1
        elif isinstance(top := self.stack[-1], Object):
            self._member(top)
        else:
            self._item(top)

    def _open(self) -> Container:
        if len(self.stack) >= MAX_DEPTH:
            raise _BrokenError
        opened: Container = Array()
        if self.text[self.position] == "{":
            opened = Object(self.text[self.position : self.position + EXCERPT_LENGTH])
        self.stack.append(opened)
        self.position += 1
        return opened

    def _close(self, bracket: str) -> None:
        """Close the top; when the bracket does not fit it, the one below too (a forgotten bracket)."""
        kind = Object if bracket == "}" else Array
        if not any(isinstance(container, kind) for container in self.stack[-2:]):
            raise _BrokenError
        while True:
            top = self.stack.pop()
            top.whole = True
            self.objects += isinstance(top, Object)
            if isinstance(top, kind):
                break
        self.position += 1

    def _member(self, top: Object) -> None:
        key = self._key()
        self._skip_blanks()
        if self._peek() != ":":
            raise _BrokenError
        self.position += 1
        self._skip_blanks()
        if self._peek() in ",}]":  # a key without a value
            top.pairs[key] = None
            return
        top.pairs[key] = self._value()

    def _key(self) -> str:
        if self._opens_string():
            key = self.string(in_key=True)
            if isinstance(key, Cut):
                raise _EndError
            return key
        match = _BARE_KEY.match(self.text, self.position)
        if not match:
            raise _BrokenError
        self.position = match.end()
        return match.group()

    def _item(self, top: Array) -> None:
        top.items.append(self._value())
        if isinstance(top.items[-1], str):
            self._skip_blanks()
            if self._peek() not in ",]}":  # text behind a string means that the quote was part of it
                raise _BrokenError

    def _value(self) -> Value:
        if self._peek() in "{[":
            return self._open()
        if self._opens_string():
            value = self.string()
            while match := _JOIN.match(self.text, self.position):
                self.position = match.end()
                value += (more := self.string())
                if isinstance(more, Cut):
                    raise _EndError
            return value
        match = _BARE_VALUE.match(self.text, self.position)
        if not match:
            raise _BrokenError
        self.position = match.end()
        return _word(match.group())

    # --- strings --------------------------------------------------------------------------------------------------

    def _opens_string(self) -> bool:
        return self.text[self.position] in _CLOSERS

    def string(self, *, in_key: bool = False) -> str:
        """Read the string at the position, up to and including its closing quote."""
        quote = self.text[self.position]
        if (tripled := quote * 3) in _TRIPLED and self.text.startswith(tripled, self.position):
            return self._tripled(tripled)
        self.position += 1
        closers = _CLOSERS[quote]
        run = _RUNS[closers]
        parts: list[str] = []
        while self.position < len(self.text):
            if match := run.match(self.text, self.position):
                parts.append(match.group())
                self.position = match.end()
                continue
            char = self.text[self.position]
            self.position += 1
            if char == "\\":
                parts.append(self._escape())
            elif self._closes(in_key):
                return "".join(parts)
            else:
                parts.append(char)
        return Cut("".join(parts))

    def _tripled(self, quote: str) -> str:
        start = self.position + 3
        end = self.text.find(quote, start)
        if end < 0:
            self.position = len(self.text)
            return Cut(self.text[start:])
        self.position = end + 3
        return self.text[start:end]

    def _escape(self) -> str:
        """What stands for the escape whose backslash was just read; no escape of JSON's is kept as it is written."""
        char = self.text[self.position : self.position + 1]
        self.position += len(char)
        if char == "u" and (match := _HEX4.match(self.text, self.position)):
            self.position = match.end()
            return self._code_unit(int(match.group(), 16))
        return _ESCAPES.get(char, "\\" + char)

    def _code_unit(self, unit: int) -> str:
        if 0xD800 <= unit < 0xDC00 and (low := _LOW_SURROGATE.match(self.text, self.position)):
            self.position = low.end()
            return chr(0x10000 + ((unit - 0xD800) << 10) + int(low.group(1), 16) - 0xDC00)
        # Half a character can be neither stored nor sent.
        return "\ufffd" if 0xD800 <= unit < 0xE000 else chr(unit)

    def _closes(self, in_key: bool) -> bool:
        if not self.guessing:
            return True
        if in_key:
            return _ENDS_KEY.match(self.text, self.position) is not None
        if self._closing_brackets_follow():
            return True
        ends = _ENDS_VALUE if isinstance(self.stack[-1], Object) else _ENDS_ITEM
        return ends.match(self.text, self.position) is not None

    def _closing_brackets_follow(self) -> bool:
        """The brackets behind a quote close what is open, and JSON goes on, or all of it ends, behind them."""
        position, depth = self.position, len(self.stack)
        while depth and (match := _CLOSING.match(self.text, position)):
            if (match.group()[-1] == "}") is not isinstance(self.stack[depth - 1], Object):
                return False
            position, depth = match.end(), depth - 1
        if depth == len(self.stack):
            return False
        rest = self.text[position : position + 64].lstrip()
        return depth == 0 or rest == "" or rest[0] in ",{"

    # --- the rest -------------------------------------------------------------------------------------------------

    def _skip_blanks(self) -> None:
        match = _BLANKS.match(self.text, self.position)
        assert match is not None
        self.position = match.end()

    def _peek(self) -> str:
        if self.position >= len(self.text):
            raise _EndError
        return self.text[self.position]


def _word(word: str) -> str | int | float | bool | None:
    """A bare word's value: a constant of JSON, Python or JavaScript, a number, else the word itself."""
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    try:
        return int(word) if word.lstrip("+-").isdigit() and len(word) < 20 else float(word)
    except ValueError:
        return word
