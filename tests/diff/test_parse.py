"""Diffs of real repositories against git's own account of them, and diffs that are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewbot.diff.model import FileDiff
from reviewbot.diff.parse import parse, parse_patch
from reviewbot.errors import DiffError, FinalError

from .conftest import Repository
from .oracle import apply, rows_by_git, rows_by_us

SAMPLES = Path(__file__).parents[1] / "samples" / "diffs"
TEXT = b"".join(b"line %d of the file\n" % n for n in range(1, 41))
BINARY = bytes(range(256)) * 8

# name before, content before, name after, content after; None is no file
ODD: list[tuple[str | bytes | None, bytes, str | bytes | None, bytes]] = [
    ("plain.py", TEXT, "plain.py", TEXT.replace(b"line 3 ", b"LINE 3 ").replace(b"line 30 ", b"") + b"more\n"),
    ("renamed old.py", TEXT + b"1", "renamed new.py", TEXT + b"1"),
    ("moved a/ b/x.py", TEXT + b"2", "moved b/ a/x.py", TEXT.replace(b"line 9 ", b"") + b"2"),
    ("a b/a b", b"", "a b/a b", b"now text\n"),
    ("x b/x", b"one\n", "x b/x", b"two\n"),
    ("tab\there", b"one\n", "tab\there", b"two\n"),
    ('quote"back\\slash', b"one\n", 'quote"back\\slash', b"two\n"),
    ("new\nline", b"one\n", "new\nline", b"two\n"),
    ("ünïcode/日本 語", b"one\n", "ünïcode/日本 語", b"two\n"),
    (b"not\xffutf8\x80", b"one\n", b"not\xffutf8\x80", b"two\n"),
    (" leading and trailing ", b"one\n", " leading and trailing ", b"two\n"),
    ("--- a", b"-- one\n++ two\n", "--- a", b"++ one\n-- two\n@@ -1 +1 @@\ndiff --git a/q b/q\n"),
    ("crlf", b"one\r\ntwo\r\nthree\r\n", "crlf", b"one\r\nTWO\r\nthree\n"),
    ("bare cr", b"one\rtwo\nthree\r", "bare cr", b"one\rTWO\nthree"),
    ("no end before", b"one\ntwo", "no end before", b"one\ntwo\n"),
    ("no end after", b"one\ntwo\n", "no end after", b"one\ntwo"),
    ("no end at all", b"one\ntwo", "no end at all", b"ONE\ntwo"),
    ("separators", "a\x0cb\u2028c\u2029d\x85e\x1cf\x0b\n".encode(), "separators", "a\x0cb\u2028X\x85\x1c\n".encode()),
    ("not utf8", b"caf\xe9\n\xff\xfe\n", "not utf8", b"caf\xe9!\n\xff\xfe\n"),
    ("emoji 😀", "😀\n".encode(), "emoji 😀", "😀😀\n".encode()),
    ("backslash line", b"\\ No newline at end of file\nx\n", "backslash line", b"\\ No newline at end of file\ny\n"),
    ("becomes empty", b"one\n", "becomes empty", b""),
    ("blank lines", b"\n\n \n\n", "blank lines", b"\n\n\n\n\n"),
    (None, b"", "empty new", b""),
    ("empty gone b/empty gone", b"", None, b""),
    (None, b"", "new file", b"hello\n"),
    ("gone file", b"hello\nyou\n", None, b""),
    ("binary", BINARY, "binary", BINARY[::-1]),
    (None, b"", "binary new", BINARY + b"\0"),
    ("binary gone", b"\0gone" * 99, None, b""),
    ("binary moved", BINARY + b"3" * 64, "binary moved to", BINARY + b"3" * 63 + b"4"),
    ("huge line", b"x" * 300_000 + b"\n", "huge line", b"x" * 300_000 + b"y\n"),
]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Two commits with one of everything that git can tell in a diff between them."""
    repository = Repository(tmp_path_factory.mktemp("odd") / "repository")
    for name, content, _, _ in ODD:
        if name is not None:
            repository.write(name, content)
    repository.write("mode only", b"x\n")
    repository.write("mode and text", b"x\n").chmod(0o755)
    repository.write("becomes link", b"some text\n")
    (repository.root / "link").symlink_to("plain.py")
    _submodules(repository, {"sub moved": "1" * 40, "sub gone": "2" * 40})
    before = repository.commit()
    for name, _, after, content in ODD:
        if name is not None and name != after:
            os.unlink(os.fsencode(repository.root) + b"/" + os.fsencode(name))
        if after is not None:
            repository.write(after, content)
    (repository.root / "mode only").chmod(0o755)
    repository.write("mode and text", b"y\n").chmod(0o644)
    (repository.root / "becomes link").unlink()
    (repository.root / "becomes link").symlink_to("plain.py")
    (repository.root / "link").unlink()
    (repository.root / "link").symlink_to("crlf")
    repository.write("copy of plain.py", TEXT + b"2")
    _submodules(repository, {"sub moved": "3" * 40, "sub gone": None, "sub new": "4" * 40})
    repository.commit()
    repository.git("tag", "before", before)
    return repository


def _submodules(repository: Repository, names: dict[str, str | None]) -> None:
    for name, commit in names.items():
        if commit is None:
            repository.git("rm", "-q", "--cached", name)
            (repository.root / name).rmdir()
        else:
            (repository.root / name).mkdir(exist_ok=True)
            repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{name}")


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--binary",),
        ("-U0",),
        ("-U1000",),
        ("--no-renames",),
        ("-C", "--find-copies-harder"),
        ("--full-index", "--patience", "--inter-hunk-context=3"),
        ("-B", "-M"),
    ],
    ids=" ".join,
)
def test_every_odd_file_is_read_as_git_itself_counts_it(odd: Repository, options: tuple[str, ...]) -> None:
    for commits in (("before", "HEAD"), ("HEAD", "before")):
        files = parse(odd.diff(*options, *commits))
        assert rows_by_us(files) == rows_by_git(odd, *options, *commits)


@pytest.mark.parametrize("options", [(), ("-U0",), ("-U1000",), ("--no-renames",), ("-C", "--find-copies-harder")])
def test_hunks_applied_to_the_old_side_give_the_new_side_byte_for_byte(
    odd: Repository, options: tuple[str, ...]
) -> None:
    diff = odd.diff("--full-index", *options, "before", "HEAD").decode("utf-8", "surrogateescape")
    raw = odd.diff("--raw", "-z", "--no-abbrev", *options, "before", "HEAD").decode("utf-8", "replace").split("\0")
    ids = {_raw_path(raw, n): raw[n].split()[2:4] for n in range(len(raw)) if raw[n].startswith(":")}
    files = [f for f in parse(diff) if f.hunks and not f.submodule and f.path != "becomes link"]
    assert len(files) > 25
    for file in files:
        old, new = ids[file.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")]
        after = b"" if new.strip("0") == "" else odd.blob(new)
        assert apply(file, b"" if old.strip("0") == "" else odd.blob(old)) == after


def _raw_path(fields: list[str], at: int) -> str:
    return fields[at + 2] if fields[at].split()[-1][0] in "RC" else fields[at + 1]


def test_paths_are_read_the_same_when_git_does_not_quote_bytes_above_127(odd: Repository) -> None:
    diff = odd.git("-c", "core.quotePath=false", "diff", "before", "HEAD")
    assert rows_by_us(parse(diff)) == rows_by_git(odd, "before", "HEAD")


def test_binary_and_submodule_files_are_marked(odd: Repository) -> None:
    for options in ((), ("--binary",)):
        files = parse(odd.diff(*options, "before", "HEAD"))
        assert {f.path for f in files if f.binary} == {"binary", "binary new", "binary gone", "binary moved to"}
        assert {f.path for f in files if f.submodule} == {"sub moved", "sub gone", "sub new"}


def _read(text: str | bytes) -> tuple[FileDiff, ...] | DiffError:
    try:
        return parse(text)
    except DiffError as error:
        return error


def test_a_diff_cut_at_any_line_is_refused_or_read_as_far_as_it_goes(odd: Repository) -> None:
    lines = odd.diff("before", "HEAD", "--", "plain.py", "crlf", "no end after", "new file").split(b"\n")
    hunks = [hunk.lines for file in parse(b"\n".join(lines)) for hunk in file.hunks]
    for end in range(len(lines)):
        part = _read(b"\n".join(lines[:end]))
        if isinstance(part, DiffError):
            assert 1 <= part.line <= end + 1
        else:
            found = [hunk.lines for file in part for hunk in file.hunks]
            assert found == hunks[: len(found)]


LINE = st.sampled_from(
    [b"a", b"b", b"", b" ", b" a", b"-a", b"+b", b"\\ x", b"a\r", "\u2028".encode(), b"\x0c", b"\xff"]
)
CONTENT = st.tuples(
    st.lists(LINE | st.binary(max_size=4).map(lambda raw: raw.replace(b"\0", b"")), max_size=30), st.booleans()
).map(lambda made: b"\n".join(made[0]) + b"\n" * made[1])
NAME = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..") and name.lower() != ".git"
)


@settings(deadline=None, max_examples=50)
@given(old=st.dictionaries(NAME, CONTENT, max_size=6), new=st.dictionaries(NAME, CONTENT, max_size=6), data=st.data())
def test_random_trees_are_read_as_git_counts_them_and_apply_byte_for_byte(
    random_repository: Repository, old: dict[str, bytes], new: dict[str, bytes], data: st.DataObject
) -> None:
    new = {**new, **{name: data.draw(CONTENT | st.just(old[name])) for name in old if data.draw(st.booleans())}}
    trees = [_tree(random_repository, files) for files in (old, new)]
    context = data.draw(st.sampled_from(["-U0", "-U1", "-U3"]))
    files = parse(random_repository.diff(context, *trees).decode("utf-8", "surrogateescape"))
    assert rows_by_us(files) == rows_by_git(random_repository, *trees)
    for file in files:
        if not file.binary:
            assert apply(file, old.get(file.old_path or "", b"")) == new.get(file.new_path or "", b"")


@pytest.fixture(scope="module")
def random_repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("random") / "repository")


def _tree(repository: Repository, files: dict[str, bytes]) -> str:
    """The name of a tree with these files, made without touching the disk's own rules for names."""
    entries = b""
    for name, content in files.items():
        blob = repository.git("hash-object", "-w", "--stdin", stdin=content).strip()
        entries += b"100644 blob " + blob + b"\t" + name.encode() + b"\0"
    return repository.git("mktree", "-z", stdin=entries).decode().strip()


@settings(deadline=None)
@given(st.text(st.sampled_from('@-+ \\01,a/b\n"')) | st.binary())
def test_any_text_is_read_or_refused_with_a_line_number(text: str | bytes) -> None:
    for candidate in (text, _after("--- a/x\n+++ b/x\n", text), _after("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n", text)):
        result = _read(candidate)
        if isinstance(result, DiffError):
            assert f"line {result.line} of the diff" in str(result)
            assert result.line >= 1
        else:
            assert all(file.path for file in result)


def _after(head: str, text: str | bytes) -> str | bytes:
    head = "diff --git a/x b/x\n" + head
    return head + text if isinstance(text, str) else head.encode() + text


HEAD = "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("Hello\n", 1, 'expected "diff --git"'),
        ("diff --cc x\nindex 1,2..3\n", 1, "combined diff"),
        ("diff --combined x\n", 1, "combined diff"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n", 1, 'expected "diff --git"'),
        ("diff --git x x\nold mode 100644\nnew mode 100755\n", 1, "--src-prefix=a/"),
        ("diff --git c/x i/x\n--- c/x\n+++ i/x\n@@ -1 +1 @@\n-a\n+b\n", 1, "--src-prefix=a/"),
        ("diff --git a/x b/y\n", 1, "same path"),
        ("diff --git a/x b/x\n--- /dev/null\n+++ /dev/null\n@@ -1 +1 @@\n-a\n+b\n", 1, "an old or a new side"),
        ("diff --git a/x b/x\nsomething else\n", 2, 'expected "diff --git"'),
        ("diff --git a/x b/x\n--- a/x\n@@ -1 +1 @@\n", 3, 'expected "+++"'),
        ("diff --git a/x b/x\n--- a/x\n+++ b/x\n", 4, "expected a hunk"),
        (HEAD + "@@@ -1 -1 +1 @@@\n", 5, "expected a hunk"),
        (HEAD + "@@ -1 +x @@\n", 5, "hunk header"),
        (HEAD + "@@ -1,3 +1,3 @@\n a\n-b\n+c\n", 9, "1 old and 1 new lines more"),
        (HEAD + "@@ -1 +1 @@\n-a\n+b\n c\n", 8, "more lines than its header says"),
        (HEAD + "@@ -1 +1 @@\n-a\n-b\n+c\n", 7, "0 old and 1 new lines more"),
        (HEAD + "@@ -1 +1 @@\n-a\n*b\n", 7, "0 old and 1 new lines more"),
        (HEAD + "@@ -1 +1 @@\n\\ No newline at end of file\n", 6, "without a line end"),
        (HEAD + "@@ -1,2 +1,2 @@\n-a\n\\ No newline\n-b\n+c\n+d\n", 7, "without a line end"),
        (HEAD + "@@ -1 +1 @@\n-a\n+b\n@@ -1 +1 @@\n-a\n+b\n", 8, "overlaps"),
        (HEAD + "@@ -1,9999999999 +1 @@\n-a\n+b\n", 8, "old and 0 new lines more"),
    ],
)
def test_what_is_no_diff_is_refused_with_its_line_and_what_was_expected(text: str, line: int, words: str) -> None:
    with pytest.raises(DiffError, match=f"line {line} of the diff") as caught:
        parse(text)
    assert words in str(caught.value)
    assert caught.value.line == line
    assert isinstance(caught.value, FinalError)
    with pytest.raises(DiffError) as again:
        parse(text.encode())
    assert str(again.value) == str(caught.value)


def test_an_error_quotes_only_the_beginning_of_a_huge_line() -> None:
    with pytest.raises(DiffError) as caught:
        parse("x" * 1_000_000)
    assert len(str(caught.value)) < 300


def test_the_combined_diff_of_a_real_merge_is_refused(repository: Repository) -> None:
    repository.write("f", b"a\n")
    base = repository.commit()
    repository.write("f", b"b\n")
    repository.commit()
    repository.git("checkout", "-q", "-b", "other", base)
    repository.write("f", b"c\n")
    theirs = repository.commit()
    repository.git("checkout", "-q", "-")
    repository.git("merge", "-q", "-s", "ours", theirs)
    repository.write("f", b"d\n")
    repository.git("commit", "-q", "-a", "--amend", "-m", "x")
    with pytest.raises(DiffError, match="against one parent"):
        parse(repository.git("show", "--format=", "--cc", "HEAD"))


def test_bytes_that_are_not_utf8_become_the_replacement_character_and_a_str_is_kept() -> None:
    text = HEAD.encode() + b"@@ -1 +1 @@\n-caf\xe9\n+\xed\xa0\x80\n"
    assert [line.text for line in parse(text)[0].hunks[0].lines] == ["caf\ufffd", "\ufffd" * 3]
    kept = parse(text.decode("utf-8", "surrogateescape"))
    assert kept[0].hunks[0].lines[0].text == "caf\udce9"


def test_a_trimmed_empty_context_line_is_read_as_git_apply_reads_it() -> None:
    (file,) = parse(HEAD + "@@ -1,3 +1,3 @@\n-a\n+b\n\n c\n")
    assert [(line.kind, line.text) for line in file.hunks[0].lines] == [("-", "a"), ("+", "b"), (" ", ""), (" ", "c")]


def test_the_section_behind_a_hunk_header_is_kept_as_it_is() -> None:
    (file,) = parse(HEAD + "@@ -7 +7 @@ def f(): @@ x\n-a\n+b\n")
    assert (file.hunks[0].section, file.hunks[0].old_start, file.hunks[0].new_count) == ("def f(): @@ x", 7, 1)


def test_an_empty_diff_has_no_files() -> None:
    assert parse("") == parse(b"") == ()


@pytest.mark.parametrize("options", [(), ("-U0",)])
def test_an_entry_of_the_files_list_is_read_as_its_part_of_the_diff(odd: Repository, options: tuple[str, ...]) -> None:
    diff = odd.diff(*options, "before", "HEAD")
    for file, section in zip(parse(diff), diff.split(b"\ndiff --git "), strict=True):
        _, found, patch = b"".join([b"\n", section]).decode("utf-8", "replace").partition("\n@@ ")
        entry = parse_patch(
            filename=file.path,
            previous_filename=file.old_path if file.status in ("renamed", "copied") else None,
            status=file.status,
            patch="@@ " + patch.removesuffix("\n") if found else None,
        )
        assert entry.patch_missing == (not file.hunks)
        assert (entry.old_path, entry.new_path, entry.hunks) == (file.old_path, file.new_path, file.hunks)
        assert (entry.additions, entry.deletions, entry.submodule) == (file.additions, file.deletions, file.submodule)


@pytest.mark.parametrize(
    ("status", "patch", "words"),
    [
        ("moved", "@@ -1 +1 @@\n-a\n+b", "status 'moved' is not known"),
        ("modified", "@@ -1 +1 @@\n-a\n+b\n@@@ x", "line 4"),
        ("modified", "@@ -1 +1 @@\n-a\n+b\nrest", "line 4"),
        ("modified", "-a", "line 1"),
    ],
)
def test_an_entry_that_is_not_whole_is_refused(status: str, patch: str, words: str) -> None:
    with pytest.raises(DiffError, match=words):
        parse_patch(filename="f", previous_filename=None, status=status, patch=patch)


def test_a_text_file_that_speaks_of_subprojects_is_no_submodule() -> None:
    line = "Subproject commit " + "a" * 40
    entries = {
        "one": f"@@ -1 +1 @@\n-{line}\n+{line.replace('a', 'b')}",
        "two": f"@@ -1 +1,2 @@\n-{line}\n+{line}\n+{line}",
        "context": f"@@ -1 +1,2 @@\n {line}\n+{line}",
        "tail": f"@@ -1 +1 @@\n-{line}\n+{line} x",
    }
    found = {
        name: parse_patch(filename=name, previous_filename=None, status="modified", patch=patch).submodule
        for name, patch in entries.items()
    }
    assert found == {"one": True, "two": False, "context": False, "tail": False}
