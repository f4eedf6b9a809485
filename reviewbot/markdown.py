"""Make text that a model or a pull request wrote harmless in GitHub Markdown, and keep it readable. Pure.

The text is parsed as CommonMark with tables, and only an allow-list of constructs is written out again: paragraphs,
lists, quotes, tables, emphasis and code. HTML, images, references and autolinks are not parsed at all, so that they
come out as the escaped characters which they are; a link comes out as its words and its address in code.

Words that GitHub or a bot would act on (`@name`, `#1`, addresses, `$`, commit ids, commands) become code spans. Inside
code GitHub links and notifies nothing, the span looks right, and the word survives copying. The other ways were left:
GitHub reads mentions from the rendered text, where `&#64;name` is a mention again; a zero-width joiner breaks what is
copied and is itself what we must not hide; comments and tags between `@` and `name` are removed by the sanitiser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from reviewbot.invisible import show_invisible

DEFAULT_LIMIT = 20_000  # characters, as `length` counts them
_MAX_NESTING = 20

_PARSER = MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING}).enable("table")
_PARSER.disable(["html_block", "html_inline", "image", "reference", "autolink"])


def length(text: str) -> int:
    """The length of `text` in UTF-16 units: GitHub counts either these or code points, and never more than these."""
    return len(text) + sum(character > "\uffff" for character in text)


def neutralise(text: str, *, limit: int = DEFAULT_LIMIT) -> str:
    """`text` as Markdown blocks without effects: no mention, reference, command, link, image, HTML or open fence.

    The result is at most `limit` long (as `length` counts, at least 100); what is cut away leaves an ellipsis.
    Neutralising a second time changes nothing.
    """
    return _bounded(text, limit, blocks=True)


def neutralise_line(text: str, *, limit: int = 300) -> str:
    """`text` as one line without effects and without emphasis, for titles and table cells. Bounds as `neutralise`."""
    return _bounded(" ".join(text.split()), limit, blocks=False)


def code(text: str) -> str:
    """`text` as a code span: for paths and names, whatever they hold. Line feeds and tabs are shown as code points."""
    shown = show_invisible(text).replace("\n", "<U+000A>").replace("\t", "<U+0009>")
    return _code_span(shown) if shown.strip() else "(empty)"


def fenced(text: str, language: str = "", *, limit: int = DEFAULT_LIMIT) -> str:
    """`text` as a fenced code block which nothing in it can close, at most `limit` long."""
    shown = show_invisible(_beginning(text, limit)).strip("\n")
    return _shortened(shown, limit, lambda source: _fence(source, language))


def _bounded(text: str, limit: int, *, blocks: bool) -> str:
    return _shortened(show_invisible(_beginning(text, limit)), limit, lambda source: _stable(source, blocks))


def _beginning(text: str, limit: int) -> str:
    """No more of the text than can be needed, so that a huge one costs no more than a long one."""
    return text if len(text) <= limit else text[:limit] + "\u2026"


def _shortened(source: str, limit: int, write: Callable[[str], str]) -> str:
    """What `write` makes of as much of the source as fits. The source is cut, so that the result is never half open."""
    while length(written := write(source)) > limit:
        keep = min(len(source) - 2, len(source) * limit // length(written))
        source = source[: max(keep, 0)].rstrip("\u2026\n") + "\u2026"
    return written


def _stable(source: str, blocks: bool) -> str:
    """The rendering that rendering again does not change. It exists: at the latest, everything is one code block."""
    for emphasis in (blocks, False):
        result = _render(source, emphasis=emphasis, blocks=blocks)
        for _ in range(3):
            again = _render(result, emphasis=blocks, blocks=blocks)
            if again == result:
                return result
            result = again if emphasis else _render(again, emphasis=False, blocks=blocks)
    return _fence(source, "") if blocks else _code_span(source)


def _render(text: str, *, emphasis: bool, blocks: bool) -> str:
    tokens = _PARSER.parse(text) if blocks else _PARSER.parseInline(text)
    if any(token.level >= _MAX_NESTING - 2 for token in tokens):  # the parser drops what lies deeper
        return _fence(text, "")
    root = SyntaxTreeNode(tokens)
    if not blocks:  # a code span beside a blank may have made two of them, which the next reading takes as one
        return " ".join(_paragraph(root.children, emphasis).split())
    return _blocks(root.children, emphasis).strip("\n")


# --- blocks ---------------------------------------------------------------------------------------------------------


def _blocks(nodes: Iterable[SyntaxTreeNode], emphasis: bool, *, nested: bool = False, tight: bool = False) -> str:
    written = (_block(node, emphasis, nested) for node in nodes)
    return ("\n" if tight else "\n\n").join(block for block in written if block)


def _block(node: SyntaxTreeNode, emphasis: bool, nested: bool) -> str:
    match node.type:
        case "paragraph":
            return _paragraph(node.children, emphasis)
        case "heading":  # a heading of the model's could pass for one of ours
            words = _paragraph(node.children, emphasis=False)
            return f"**{words}**" if words and emphasis else words
        case "bullet_list" | "ordered_list":
            return _list(node, emphasis)
        case "blockquote":
            quoted = _blocks(node.children, emphasis, nested=True)
            return "\n".join(f"> {line}".rstrip() for line in quoted.split("\n"))
        case "table":
            return _table(node, emphasis)
        case "hr":
            return "***"
        case "fence" | "code_block":
            return _fence(node.content.strip("\n"), node.info, indent="" if nested else " ")
    raise AssertionError(f"the parser has no rule for {node.type}")


def _list(node: SyntaxTreeNode, emphasis: bool) -> str:
    tight = all(child.hidden for item in node.children for child in item.children if child.type == "paragraph")
    number = int(node.attrs.get("start", 1))
    items: list[str] = []
    for offset, item in enumerate(node.children):
        marker = "- " if node.type == "bullet_list" else f"{min(number + offset, 999_999_999)}. "
        body = _blocks(item.children, emphasis, nested=True, tight=tight)
        items.append(marker + body.replace("\n", "\n" + " " * len(marker)))
    joined = ("\n" if tight else "\n\n").join(items)
    return "\n".join(line.rstrip() for line in joined.split("\n"))


def _table(node: SyntaxTreeNode, emphasis: bool) -> str:
    rows = [row.children for part in node.children for row in part.children]
    lines = [_row(_cell(cell, emphasis) for cell in row) for row in rows]
    marks = {"left": ":--", "center": ":-:", "right": "--:"}
    aligned = (str(cell.attrs.get("style", "")).removeprefix("text-align:") for cell in rows[0])
    lines.insert(1, _row(marks.get(alignment, "---") for alignment in aligned))
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: SyntaxTreeNode, emphasis: bool) -> str:
    return _paragraph(cell.children, emphasis, in_table=True).replace("\n", " ")


# Languages that GitHub renders as something else than text, or offers a button for.
_ACTIVE_LANGUAGES = frozenset({"math", "mermaid", "geojson", "topojson", "stl", "suggestion"})
_LANGUAGE = re.compile(r"[A-Za-z][A-Za-z0-9+#.-]{0,19}(?=\s|$)")


def _fence(content: str, info: str, indent: str = " ") -> str:
    """A fenced block. Its indent is no part of the code, but keeps `/command` in it away from a line's beginning, where
    bots that read the raw text look for commands."""
    language = match.group() if (match := _LANGUAGE.match(info.strip())) else ""
    if language.lower() in _ACTIVE_LANGUAGES:
        language = ""
    longest = max((len(run) for run in re.findall("`+", content)), default=0)
    ticks = "`" * max(3, longest + 1)
    lines = (ticks + language, *(content.split("\n") if content else ()), ticks)
    return "\n".join(indent + line if line else "" for line in lines)


def _code_span(content: str) -> str:
    ticks = "`" * (max((len(run) for run in re.findall("`+", content)), default=0) + 1)
    padded = content.startswith("`") or content.endswith("`")
    padded = padded or (content.startswith(" ") and content.endswith(" ") and bool(content.strip()))
    return f"{ticks} {content} {ticks}" if padded else f"{ticks}{content}{ticks}"


# --- inline ---------------------------------------------------------------------------------------------------------

# A piece of a paragraph: text that is still to be escaped, the inside of a code span, or the mark of an emphasis.
_Piece = tuple[Literal["text", "code", "mark"], str]

_LIVE_WORD = re.compile(
    r"@\w"  # mentions of people and teams, commands to bots, e-mail addresses
    r"|#\d|\bgh-\d"  # issues, also owner/repository#1
    r"|://|\bwww\.|\b(?:mailto|xmpp):"  # what GitHub links by itself
    r"|\$"  # mathematics
    r"|(?<![0-9a-z])(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{7,40}(?![0-9a-z])",  # commits
    re.I,
)
_LIVE_PHRASE = re.compile(
    r"(\bduplicate\s+of\b|\b(?:bors|homu)(?::|\s)\s*[\w+=-]+|\br[?+](?=\s|$)|\b(?:re)?test\s+this\s+please\b"
    r"|\bok\s+to\s+test\b|^\s*(?:recheck|retest|rebase)\b)",
    re.I | re.M,
)
_OUTER_PUNCTUATION = re.compile(r"([(\[{\"'*]*)(.+?)([)\]}\"'*.,;:!?]*)", re.S)
_SPECIAL = re.compile(r"[\\`*\[\]<~|]|&(?=#?\w+;)|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_NUMBERED = re.compile(r"\d{1,9}[.)]")


def _paragraph(nodes: Sequence[SyntaxTreeNode], emphasis: bool, *, in_table: bool = False) -> str:
    """The inline content of a block, with every line's beginning made safe."""
    written = "".join(
        _written(kind, value, in_table) for kind, value in _joined(_worded(_joined(_pieces(nodes, emphasis))))
    )
    return "\n".join(_line(line.strip()) for line in written.split("\n") if line.strip())


def _line(line: str) -> str:
    """A line that opens no block: no heading, list, quote, underline or table."""
    if line[0] in "#>=:+-":
        return "\\" + line
    if match := _NUMBERED.match(line):
        return f"{line[: match.end() - 1]}\\{line[match.end() - 1 :]}"
    return line


def _written(kind: str, value: str, in_table: bool) -> str:
    if kind == "text":
        return _SPECIAL.sub(r"\\\g<0>", value)
    if kind == "code":
        span = _code_span(value)
        return span.replace("|", "\\|") if in_table else span
    return value


def _pieces(nodes: Iterable[SyntaxTreeNode], emphasis: bool) -> Iterator[_Piece]:
    for node in nodes:
        match node.type:
            case "inline":
                yield from _pieces(node.children, emphasis)
            case "text":
                yield "text", node.content
            case "softbreak" | "hardbreak":
                yield "text", "\n"
            case "code_inline":
                yield "code", node.content
            case "em" | "strong":
                mark = {"em": "*", "strong": "**"}[node.type] if emphasis else ""
                yield "mark", mark
                yield from _pieces(node.children, emphasis)
                yield "mark", mark
            case "link":
                yield from _link(node, emphasis)
            case _:
                raise AssertionError(f"the parser has no rule for {node.type}")


def _link(node: SyntaxTreeNode, emphasis: bool) -> Iterator[_Piece]:
    address = str(node.attrs.get("href", ""))
    words = list(_pieces(node.children, emphasis))
    if "".join(value for _, value in words) != address:
        yield from words
        if not address:
            return
        yield "text", " ("
        yield "code", address
        yield "text", ")"
    else:
        yield "code", address


def _joined(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """Neighbours of one kind as one piece, for two code spans side by side would be read as one or none."""
    held: _Piece | None = None
    for kind, value in pieces:
        if held is not None and held[0] == kind and kind != "mark":
            held = (kind, held[1] + value)
            continue
        if held is not None:
            yield held
        held = (kind, value)
    if held is not None:
        yield held


def _worded(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """The pieces with every live phrase and every live word as code; a word may be made of text and code."""
    word: list[_Piece] = []
    at_line_start = True
    for kind, value in _without_phrases(pieces):
        parts = re.split(r"(\s+)", value) if kind == "text" else [value]
        for index, part in enumerate(parts):
            if kind == "mark" or index % 2:
                yield from _word(word, at_line_start)
                at_line_start = "\n" in part or (at_line_start and not word)
                word = []
                yield kind, part
            elif part:
                word.append((kind, part))
    yield from _word(word, at_line_start)


def _without_phrases(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    for kind, value in pieces:
        if kind != "text":
            yield kind, value
            continue
        for index, part in enumerate(_LIVE_PHRASE.split(value)):
            if index % 2:
                yield "code", " ".join(part.split())
            elif part:
                yield "text", part


def _word(word: list[_Piece], at_line_start: bool) -> Iterator[_Piece]:
    text = "".join(value if kind == "text" else "`" for kind, value in word)
    if not (_LIVE_WORD.search(text) or (at_line_start and text.startswith("/"))):
        yield from word
        return
    whole = "".join(value for _, value in word)
    match = _OUTER_PUNCTUATION.fullmatch(whole) if len(word) == 1 else None
    before, middle, after = match.groups() if match else ("", whole, "")
    yield "text", before
    yield "code", middle
    yield "text", after
