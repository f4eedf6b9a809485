"""The stand-in's pages: what a person reads, and that nothing in it can do harm."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from reviewbot.demo.markdown import render
from tests.demo.hub import REPO, Commits, Hub

PAGE = f"/{REPO}/pull/1"


async def page(hub: Hub, path: str = PAGE) -> str:
    reply = await hub.call("GET", path, authorization="")
    assert reply.status == 200, reply
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    return reply.content.decode("utf-8", "replace")


def text_of(html: str) -> str:
    """What is left for the eye, with single spaces."""

    class Text(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.words: list[str] = []
            self.hidden = False

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.hidden = tag == "style"

        def handle_endtag(self, tag: str) -> None:
            self.hidden = False

        def handle_data(self, data: str) -> None:
            if not self.hidden:
                self.words.append(data)

    parser = Text()
    parser.feed(html)
    return " ".join(" ".join(parser.words).split())


async def test_the_list_leads_to_every_pull_request(hub: Hub) -> None:
    await hub.open()
    html = await page(hub, "/")
    assert f'href="{PAGE}"' in html
    assert "A change" in html


async def test_the_page_shows_the_review_with_its_comment_below_the_line(hub: Hub, commits: Commits) -> None:
    await hub.open(body="Please **look**.")
    remark = {"path": "src/app.py", "line": 6, "start_line": 5, "body": "Why `five`?"}
    review = {"event": "COMMENT", "body": "Two things.", "comments": [remark]}
    await hub.call("POST", f"/repos/{REPO}/pulls/1/reviews", json=review)
    output = {"title": "1 finding", "summary": "See the *review*."}
    body = {"name": "ReviewBot", "head_sha": commits.head, "conclusion": "neutral", "output": output}
    await hub.call("POST", f"/repos/{REPO}/check-runs", json=body)
    html = await page(hub)
    text = text_of(html)
    assert "A change #1 Open octocat wants to merge 1 commit into main from topic" in text
    assert "ReviewBot neutral: 1 finding See the review ." in text
    assert "Two things." in text
    assert re.search(r"6 line five and a half r reviewbot bot [^W]* Lines 5 to 6 Why five \? 6 7 line 6", text)
    assert "<strong>look</strong>" in html
    assert 'http-equiv="refresh"' not in html


async def test_the_page_looks_again_while_a_check_is_open(hub: Hub, commits: Commits) -> None:
    await hub.open()
    await hub.call("POST", f"/repos/{REPO}/check-runs", json={"name": "ReviewBot", "head_sha": commits.head})
    assert '<meta http-equiv="refresh" content="2">' in await page(hub)


async def test_pending_outdated_resolved_and_file_level_comments_are_told_apart(hub: Hub, commits: Commits) -> None:
    await hub.open()
    comments = f"/repos/{REPO}/pulls/1/comments"
    base = {"commit_id": commits.head, "path": "src/app.py"}
    await hub.call("POST", comments, json={**base, "line": 5, "body": "on the line"})
    await hub.call("POST", comments, json={**base, "line": 8, "body": "resolved one"})
    await hub.call("POST", comments, json={**base, "subject_type": "file", "body": "on the file"})
    await hub.standin.resolve_thread(REPO, 1, hub.standin.comments(REPO, 1)[1])
    await hub.standin.push(REPO, 1, "forced")
    await hub.call("POST", f"/repos/{REPO}/pulls/1/reviews", json={"body": "not yet"})
    text = text_of(await page(hub))
    assert re.search(r"Outdated .*line five r reviewbot bot .* on the line", text)
    assert re.search(r"Resolved r reviewbot bot .* resolved one", text)
    assert "on the file" in text
    assert "started a review that nobody else sees yet Pending not yet" in text


async def test_whatever_people_write_is_escaped(hub: Hub, commits: Commits) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
    await hub.standin.open_pull_request(REPO, base="main", head="topic", title=evil, body=evil, author=evil)
    await hub.standin.comment(REPO, 1, f"[x](javascript:alert(1)) ![y](http://127.0.0.1/spy.png) {evil}")
    output = {"title": evil, "summary": evil}
    body = {"name": evil, "head_sha": commits.head, "conclusion": "neutral", "output": output}
    await hub.call("POST", f"/repos/{REPO}/check-runs", json=body)
    html = await page(hub)
    assert "<script" not in html
    assert "<img" not in html
    assert "javascript:alert(1)" not in "".join(re.findall(r'href="[^"]*"', html))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in await page(hub, "/")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a <!-- hidden --> b", "<p>a  b</p>\n"),
        ("<!-- hidden\nstill -->", ""),
        ("<details>\n\nx\n\n</details>", "<details><p>x</p>\n</details>"),
        ('<details onclick="x">', "&lt;details onclick=&quot;x&quot;&gt;"),
        ("a<br>b", "<p>a<br>b</p>\n"),
        ("`<b>`", "<p><code>&lt;b&gt;</code></p>\n"),
        ("![alt](http://x/y)", '<p><a href="http://x/y" rel="nofollow noreferrer">alt</a></p>\n'),
    ],
)
def test_markdown_shows_no_html_but_folds_and_breaks(written: str, shown: str) -> None:
    assert str(render(written)).replace(">\n<", "><") == shown.replace(">\n<", "><")


async def test_the_diff_has_an_address_and_what_does_not_exist_is_404(hub: Hub) -> None:
    await hub.open()
    assert (await page(hub, f"{PAGE}.diff")).startswith("diff --git")
    assert (await hub.call("GET", f"/{REPO}/pull/2", authorization="")).status == 404
    assert (await hub.call("GET", "/no/where/pull/1", authorization="")).status == 404


async def test_a_large_pull_request_is_cut_with_a_word_about_it(hub: Hub) -> None:
    await hub.open("huge")
    await hub.open("many")
    huge, many = await page(hub), await page(hub, f"/{REPO}/pull/2")
    assert "19501 more lines are not shown." in huge
    assert len(huge) < 1_000_000
    assert "1 more files are not shown." in many
