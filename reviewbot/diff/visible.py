"""Shows the characters that a reader cannot see, so that neither a person nor a model is fooled by them."""

from __future__ import annotations

import re

# Controls (but not the tab), Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt (bidi controls, zero
# width, tags, variation selectors, fillers), blanks other than U+0020 and the ideographic one, line and paragraph
# separators, interlinear annotation, lone surrogates: home of Trojan Source (CVE-2021-42574) and of ASCII smuggling.
_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000a-\u001f\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    "\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    """The text with every invisible character written out as its code point, such as `<U+202E>`; tabs stay."""
    return _INVISIBLE.sub(lambda match: f"<U+{ord(match[0]):04X}>", text)
