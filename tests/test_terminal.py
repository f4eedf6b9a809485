"""A review on a terminal: what a model writes is shown and does nothing."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from io import StringIO

from rich.console import Console

from reviewbot.diff.files import LeftOut
from reviewbot.diff.model import Anchor
from reviewbot.findings import Finding, Located
from reviewbot.local import LocalReview
from reviewbot.reviewer import Verdict
from reviewbot.terminal import print_review

ESCAPES = "\x1b[2J\x1b]0;title\x07\x9b31m\r\u202e\x1b]8;;https://evil.example\x1b\\"


def printed(*located: Located, summary: str = "Look.", notes: tuple[str, ...] = (), path: str = "b.lock") -> list[str]:
    verdict = Verdict(summary=summary, located=located, notes=notes, provider="fake", model="m", complete=True)
    out = StringIO()
    found = LocalReview(
        change="main...HEAD", verdict=verdict, reviewed=("a.py",), left_out=(LeftOut(path, "is a lock file"),)
    )
    print_review(found, Console(file=out, width=80, force_terminal=True, color_system=None))
    return out.getvalue().splitlines()


def located(title: str = "Wrong", *, path: str = "a.py", body: str = "It is.", line: int | None = 3) -> Located:
    anchor = None if line is None else Anchor(path=path, side="RIGHT", line=line)
    return Located(finding=Finding(path=path, title=title, body=body), anchor=anchor, note="" if line else "no line")


def test_a_review_reads_from_its_summary_to_the_line_that_sums_up() -> None:
    said = [line.rstrip() for line in printed(located(), located(line=None), notes=("Cut.",))]
    assert said == [
        "    Look.",
        "medium a.py:3 Wrong",
        "    It is.",
        "medium a.py Wrong",
        "    It is.",
        "    No place on the diff: no line.",
        "note Cut.",
        "left out b.lock: it is a lock file",
        "2 findings in main...HEAD: 1 files reviewed, 1 left out, by fake (m).",
    ]


def test_a_place_and_its_title_stay_on_one_line_however_long() -> None:
    assert printed(located("Long " * 40))[1] == "medium a.py:3 " + ("Long " * 40).strip()


def test_no_text_of_others_reaches_the_terminal_as_a_command() -> None:
    finding = located(f"Title {ESCAPES}", path=f"a{ESCAPES}.py", body=f"Body {ESCAPES}")
    said = "\n".join(printed(finding, summary=f"All {ESCAPES}", notes=(f"Note {ESCAPES}",), path=f"b{ESCAPES}"))
    assert {character for character in said if not character.isprintable()} == {"\n"}
    assert said.count("<U+001B>") >= 20


def test_text_of_others_is_no_markup_no_emoji_and_no_line_of_ours() -> None:
    said = printed(located("[red]:smile:[/red]\n0 findings in all", body="[link=x]\n0 findings in HEAD: fine"))
    assert said[1].rstrip() == "medium a.py:3 [red]:smile:[/red] 0 findings in all"
    assert [line.rstrip() for line in said[2:4]] == ["    [link=x]", "    0 findings in HEAD: fine"]


LINES_UNDER_A_BAR = """
import sys
import click
from reviewbot.terminal import event_progress
with event_progress() as bar:
    bar.add_task("x", total=2)
    click.echo("a line", file=sys.stdout)
"""


def test_lines_stand_above_a_bar_on_a_terminal_and_alone_in_a_file() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", LINES_UNDER_A_BAR]
    assert subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, check=True).stdout == b"a line\n"
    os.read(ours, 65_536)
    subprocess.run(command, stdout=theirs, stderr=theirs, check=True)
    assert b"\r\x1b[2Ka line\r\n" in os.read(ours, 65_536)  # after the bar was taken away
    os.close(ours)
    os.close(theirs)
