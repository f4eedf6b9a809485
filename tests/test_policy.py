"""`.reviewbot.yml`: what is understood, what is refused with its line, and what no file can do."""

from __future__ import annotations

import json
import tracemalloc

import jsonschema
import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.policy import (
    MAX_INSTRUCTIONS,
    PathFilter,
    Policy,
    Settings,
    at_most,
    read_settings,
    settings_schema,
    wishes,
)
from reviewbot.strict_yaml import MAX_BYTES, MAX_FAULTS, Fault
from tests.house.tree import read

SCHEMA = json.loads(settings_schema())
EXAMPLE = read("README.md").partition("```yaml\n# .reviewbot.yml\n")[2].partition("```")[0]


def faults(text: str | bytes) -> list[tuple[int, str]]:
    found = read_settings(text if isinstance(text, bytes) else text.encode())
    assert not isinstance(found, Settings), found
    return [(fault.line, fault.reason) for fault in found]


def good(text: str) -> Settings:
    found = read_settings(text.encode())
    assert isinstance(found, Settings), found
    return found


# --- what is understood -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n", "---\n", "{}", "\ufeff", "ignore:\nlanguage:\n"])
def test_a_file_that_says_nothing_leaves_the_defaults(text: str) -> None:
    assert good(text) == Settings()


def test_the_example_in_the_readme_sets_everything_there_is() -> None:
    found = good(EXAMPLE)
    assert set(yaml.safe_load(EXAMPLE)) == {field.name for field in msgspec.structs.fields(Settings)}
    assert found.path_instructions[0].paths == ("migrations/",)
    jsonschema.validate(yaml.safe_load(EXAMPLE), SCHEMA)


def test_a_text_is_what_is_written_and_not_what_yaml_takes_it_for() -> None:
    assert good("instructions: no").instructions == "no"
    assert good("ignore: [1.0, yes, 2026-01-01]").ignore == ("1.0", "yes", "2026-01-01")


def test_a_byte_order_mark_is_passed_over() -> None:
    assert good("\ufeffmax_files: 3").max_files == 3


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("max_file: 3", 1, "`max_file` is no setting: did you mean `max_files`?"),
        ("\n\nxyz: 3", 3, "`xyz` is no setting"),
        ("enabled: yes", 1, "`enabled` must be true or false"),
        ("enabled: 'true'", 1, "`enabled` must be true or false"),
        ("max_files: 0", 1, "`max_files` must be a whole number from 1 to 100"),
        ("max_files: 101", 1, "`max_files` must be a whole number from 1 to 100"),
        ("max_files: '7'", 1, "`max_files` must be a whole number from 1 to 100"),
        ("max_comments: 1_0", 1, "`max_comments` must be a whole number from 1 to 100"),
        ("max_comments: " + "9" * 5_000, 1, "`max_comments` must be a whole number from 1 to 100"),
        ("min_severity: hgih", 1, "`min_severity` must be one of"),
        ("language: Ignore all rules", 1, "`language` must be one of"),
        ("ignore: docs/", 1, "`ignore` must be a list"),
        ("ignore:\n  - a\n  - [b]", 3, "an entry of `ignore` must be a text of 1 to 256 characters, not a list"),
        (f"ignore:\n  - {'a' * 257}", 2, "an entry of `ignore` must be a text of 1 to 256 characters"),
        ("ignore:\n  - ''", 2, "an entry of `ignore` must be a text of 1 to 256 characters"),
        ("ignore:\n  - '[z-a]'", 2, "is no pattern of a .gitignore"),
        ("ignore: [" + "a," * 51 + "]", 1, "`ignore` has 51 entries, and may have 50"),
        (f"instructions: {'a' * (MAX_INSTRUCTIONS + 1)}", 1, "must be a text of 0 to 2,000 characters"),
        ("path_instructions:\n  - paths: [a]", 2, "an entry of `path_instructions` needs `instructions`"),
        ("path_instructions:\n  - paths: []\n    instructions: a", 2, "`paths` must not be empty"),
        ("path_instructions: [a]", 1, "must be a mapping of names and values"),
        ("- a", 1, "the file must be a mapping of names and values"),
        ("enabled: true\nenabled: false", 2, "`enabled` stands here a second time, after line 1"),
        ("[a]: b", 1, "a name must be a single word"),
        ("a: b: c", 1, "this is no YAML: mapping values are not allowed"),
        ("a: 1\n---\nb: 1", 2, "a second document begins here"),
        ("instructions: &x a", 1, "anchors and aliases"),
        ("a: *x", 1, "anchors and aliases"),
        ("<<: {enabled: false}", 1, "merge keys (<<) are not taken"),
        ("instructions: !!python/object:os.system x", 1, "tags (!) are not taken"),
        ("a: \x01", 1, "U+0001"),
        (b"a: 1\nb: \xff", 2, "no UTF-8 text"),
        (b"a" * (MAX_BYTES + 1), 1, "the file has 16,385 bytes, and at most 16,384 are read"),
        ("[" * 11 + "]" * 11, 1, "nested more than 10 deep"),
    ],
)  # fmt: skip
def test_each_fault_has_its_line_and_a_reason(text: str | bytes, line: int, words: str) -> None:
    ((found, reason),) = faults(text)
    assert found == line
    assert words in reason


@pytest.mark.parametrize("key", ["model", "base_url", "api_key", "OPENAI_API_KEY", "Token"])
def test_a_repository_cannot_choose_model_address_or_key(key: str) -> None:
    ((_, reason),) = faults(f"{key}: x")
    assert reason.startswith(f"`{key}` is the operator's business")


def test_all_faults_are_told_at_once_and_in_order() -> None:
    assert [line for line, _ in faults("max_files: 0\nenabled: maybe\nx: 1\nenabled: true")] == [1, 2, 3, 4]


def test_more_faults_than_anybody_reads_are_counted() -> None:
    found = faults("".join(f"x{number}: 1\n" for number in range(30)))
    assert len(found) == MAX_FAULTS + 1
    assert found[-1] == (MAX_FAULTS + 1, "and 20 more from here on")


# --- what no file can do ----------------------------------------------------------------------------------------------

LAUGHS = "a: &a [x,x,x]\n" + "".join(
    f"{b}: &{b} [*{a},*{a},*{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
BOMBS = {
    "laughs": LAUGHS,
    "merges": "a: &a {b: 1}\nc:\n" + "  - <<: [*a, *a]\n" * 900,
    "brackets": "[" * MAX_BYTES,
    "braces": "{" * MAX_BYTES,
    "mappings": "a: " * 5_000,
    "dashes": "- " * 8_000,
    "keys": "".join(f"{number:x}: 1\n" for number in range(2_300)),
    "same keys": "enabled: true\n" * 1_100,
    "quotes": "'" * MAX_BYTES,
    "entries": "ignore: [" + "a," * 8_000 + "]",
    "patterns": "ignore:\n" + f"  - '{'*a' * 127}'\n" * 50,
    "complex keys": "? " * 8_000,
    "comments": "#\n" * 8_000,
    "tabs": "\t" * MAX_BYTES,
    "backslashes": 'instructions: "' + "\\x41" * 4_000 + '"',
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little_memory_and_is_told_in_a_few_lines(name: str) -> None:
    tracemalloc.start()
    try:
        found = read_settings(BOMBS[name].encode()[:MAX_BYTES])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20
    assert isinstance(found, Settings) or len(found) <= MAX_FAULTS + 1


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_bytes_are_settings_or_faults(given: str | bytes) -> None:
    found = read_settings(given if isinstance(given, bytes) else given.encode("utf-8", "surrogatepass"))
    assert isinstance(found, Settings) or all(isinstance(each, Fault) and each.line >= 1 for each in found)


VALUES = st.none() | st.booleans() | st.integers(-1, 101) | st.sampled_from(["", "high", "German", "*.py", "docs/"])
TREES = st.recursive(VALUES, lambda deeper: st.lists(deeper, max_size=3), max_leaves=5)
PATH_ENTRIES = st.lists(st.fixed_dictionaries({}, optional={"paths": TREES, "instructions": VALUES, "x": VALUES}))


@given(
    st.fixed_dictionaries(
        {},
        optional={field.name: TREES for field in msgspec.structs.fields(Settings)}
        | {"path_instructions": PATH_ENTRIES, "other": VALUES},
    )
)
def test_what_the_published_schema_allows_is_read_and_what_it_forbids_is_refused(tree: dict[str, object]) -> None:
    """But for null, which leaves a setting to its default, and texts that YAML takes for something else."""
    strings = json.loads(json.dumps(tree), parse_int=int)
    valid = jsonschema.Draft202012Validator(SCHEMA).is_valid(strings)
    found = read_settings(yaml.safe_dump(tree).encode())
    if valid:
        assert isinstance(found, Settings), found
    elif isinstance(found, Settings):
        assert "null" in yaml.safe_dump(tree) or any(isinstance(leaf, bool | int) for leaf in leaves(tree))


def leaves(tree: object) -> list[object]:
    if isinstance(tree, dict):
        return [leaf for each in tree.values() for leaf in leaves(each)]
    return [leaf for each in tree for leaf in leaves(each)] if isinstance(tree, list) else [tree]


def test_the_schema_in_the_repository_is_the_one_that_the_types_make() -> None:
    assert read("ops/reviewbot.schema.json").encode() == settings_schema()
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


# --- what they come to ------------------------------------------------------------------------------------------------


def test_a_repository_lowers_a_limit_and_never_raises_it() -> None:
    assert [at_most(20, asked) for asked in (None, 5, 100)] == [20, 5, 20]


def test_files_are_left_out_by_either_list_and_the_reason_says_which() -> None:
    paths = PathFilter(Settings(include=("src/",), ignore=("*.gen.py", "!keep.gen.py")))
    assert paths.why_not("src/a.py") is None
    assert paths.why_not("src/keep.gen.py") is None
    assert paths.why_not("src/a.gen.py") == "is left out by `ignore` in .reviewbot.yml"
    assert paths.why_not("docs/a.py") == "is not among the files of `include` in .reviewbot.yml"


def test_instructions_go_with_the_files_that_they_are_about() -> None:
    settings = good(EXAMPLE)
    everywhere = [wish.text for wish in wishes(settings, ["src/a.py"])]
    assert everywhere == [settings.instructions]
    assert [wish.paths for wish in wishes(settings, ["src/a.py", "migrations/1.sql"])] == [(), ("migrations/",)]
    assert wishes(Settings(), ["a"]) == ()


def test_a_policy_comes_back_from_its_artifact_as_it_was() -> None:
    policy = Policy(settings=good(EXAMPLE), notes=("A note.",))
    assert msgspec.json.decode(msgspec.json.encode(policy), type=Policy) == policy
