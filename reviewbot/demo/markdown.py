"""Markdown of pull requests and reviews as HTML that can do no harm."""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
# Without attributes these cannot do anything but fold and raise text.
_HARMLESS = re.compile(r"&lt;(/?(?:details|summary|sub|sup|kbd|br))&gt;")


def render(text: str | None) -> Markup:
    """Rendered as GitHub would: comments vanish, other HTML is shown as text, and images are shown as links."""
    return Markup(_PARSER.render(text or ""))  # every piece of HTML in it was made or escaped here


def _shown(text: str) -> str:
    return _HARMLESS.sub(r"<\1>", escapeHtml(_COMMENT.sub("", text)))


def _html(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, object]
) -> str:
    return _shown(tokens[index].content)


def _image(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, object]
) -> str:
    # Showing the picture would call its host.
    source = escapeHtml(str(tokens[index].attrGet("src") or ""))
    return f'<a href="{source}" rel="nofollow noreferrer">{escapeHtml(tokens[index].content or source)}</a>'


def _parser() -> MarkdownIt:
    # HTML is parsed only so that it can be dropped or escaped piece by piece: a hidden marker must stay hidden.
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.add_render_rule("html_block", _html)
    parser.add_render_rule("html_inline", _html)
    parser.add_render_rule("image", _image)
    return parser


_PARSER = _parser()
