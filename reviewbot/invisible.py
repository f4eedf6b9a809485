"""Make characters that a reader cannot see visible, as `<U+202E>`. Pure."""

from __future__ import annotations

import re

# Categories Cc, Cf and Cs but for tab and line feed, and the whole blocks of tags and of hidden operators.
_CONTROL = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
# Blank or ignorable although Unicode files them under letters, marks and symbols.
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u2028\u2029\u2800\u3164\uffa0"
# Variation selectors carry hidden bytes when they follow nothing that varies.
_SELECTORS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_PICTOGRAPH = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u27bf\u2934\u2935\u2b05-\u2b55\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001faff"
)
_JOINING = "\u0600-\u08ff\u0900-\u0dff"  # Arabic and Indic scripts spell with joiners

_PATTERN = re.compile(
    # Kept: a flag of a region (UTS #51, ED-14a), emoji joined to emoji, a keycap, a joiner inside a word that needs it.
    "(?P<kept>"
    "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f"
    f"|[{_PICTOGRAPH}][\ufe0e\ufe0f]?(?:\u200d[{_PICTOGRAPH}][\ufe0e\ufe0f]?){{0,8}}"
    "|[0-9#*]\ufe0f\u20e3"
    f"|(?<=[{_JOINING}])[\u200c\u200d](?=[{_JOINING}])"
    f")|[{_CONTROL}{_BLANK}{_SELECTORS}]"
)


def show_invisible(text: str) -> str:
    """`text` with every invisible or direction-changing character written as `<U+XXXX>`; line ends become `\\n`.

    Tabs and line feeds stay, and so do emoji sequences, flags and the joiners of Arabic and Indic words: they mean
    what they look like. Sources: CVE-2021-42574 (Trojan Source), UTS #39, UTS #51.
    """
    if text.isascii() and text.isprintable():
        return text
    return _PATTERN.sub(_shown, text.replace("\r\n", "\n").replace("\r", "\n"))


def _shown(match: re.Match[str]) -> str:
    return match.group() if match.group("kept") else f"<U+{ord(match.group()):04X}>"
