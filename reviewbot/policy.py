"""A repository's settings: what `.reviewbot.yml` may say, and what it comes to for one review. Pure.

The JSON Schema that editors use is made from the same types (`ops/reviewbot.schema.json`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Annotated, Any, Literal, get_args

import msgspec

from reviewbot.findings import Severity
from reviewbot.globs import Glob, GlobError, matches_globs, parse_glob
from reviewbot.prompts.render import Wish
from reviewbot.strict_yaml import Fault, read_yaml
from reviewbot.variables import ProviderName

PATH = ".reviewbot.yml"
MAX_PATTERNS = 50
MAX_PATTERN_LENGTH = 256  # characters
MAX_INSTRUCTIONS = 2_000  # characters
MAX_PATH_INSTRUCTIONS = 20

# Closed, because it is the one setting that stands outside the fence in a prompt.
Language = Literal[
    "Arabic", "Bengali", "Bulgarian", "Catalan", "Chinese", "Croatian", "Czech", "Danish", "Dutch", "English",
    "Estonian", "Finnish", "French", "German", "Greek", "Hebrew", "Hindi", "Hungarian", "Indonesian", "Italian",
    "Japanese", "Korean", "Latvian", "Lithuanian", "Norwegian", "Persian", "Polish", "Portuguese", "Romanian",
    "Russian", "Serbian", "Slovak", "Slovenian", "Spanish", "Swedish", "Thai", "Turkish", "Ukrainian", "Vietnamese",
]  # fmt: skip


def _no_pattern(text: str) -> str | None:
    try:
        parse_glob(text)
    except GlobError as error:
        return f"is no pattern of a .gitignore: it {error}"
    return None


def _says(description: str, **constraints: Any) -> msgspec.Meta:
    return msgspec.Meta(description=description, **constraints)


Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_PATTERN_LENGTH, extra={"check": _no_pattern})]
Patterns = tuple[Pattern, ...]
Limit = Annotated[int, msgspec.Meta(ge=1, le=100)]


class PathInstructions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to mind in some files."""

    paths: Annotated[Patterns, _says("Patterns of a .gitignore.", min_length=1, max_length=MAX_PATTERNS)]
    instructions: Annotated[str, _says("What to mind in these files.", min_length=1, max_length=MAX_INSTRUCTIONS)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a repository may say about its reviews. None: as the operator has it."""

    enabled: Annotated[bool, _says("false: no pull request is reviewed.")] = True
    drafts: Annotated[
        Literal["wait", "review"], _says("Whether drafts wait until they are ready, or are reviewed at each push.")
    ] = "wait"
    min_severity: Annotated[Severity, _says("Findings below it are not shown.")] = "low"
    max_comments: Annotated[
        Limit | None, _says("The most inline comments of a review; further findings stand in its body.")
    ] = None
    max_files: Annotated[Limit | None, _says("The most files of a pull request that are reviewed.")] = None
    language: Annotated[Language, _says("The language that reviews are written in.")] = "English"
    providers: Annotated[
        tuple[ProviderName, ...],
        _says(
            "Who may read the code; the first of them that is offered reviews.", max_length=len(get_args(ProviderName))
        ),
    ] = ()
    include: Annotated[
        Patterns, _says("Patterns of a .gitignore: other files are left out.", max_length=MAX_PATTERNS)
    ] = ()
    ignore: Annotated[
        Patterns, _says("Patterns of a .gitignore: these files are left out.", max_length=MAX_PATTERNS)
    ] = ()
    instructions: Annotated[
        str, _says("What to mind, in your own words; the model reads it.", max_length=MAX_INSTRUCTIONS)
    ] = ""
    path_instructions: Annotated[
        tuple[PathInstructions, ...],
        _says("What to mind in some files; read with these alone.", max_length=MAX_PATH_INSTRUCTIONS),
    ] = ()


class Policy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The settings that stand for one review, and what its readers must know of them. With the terms and the stored
    bytes, all that decides the review."""

    settings: Settings = Settings()
    notes: tuple[str, ...] = ()  # plain sentences


def read_settings(raw: bytes) -> Settings | tuple[Fault, ...]:
    """The settings in a file of the repository, or what is wrong with it."""
    return read_yaml(raw, Settings, _REFUSED)


def fault_notes(faults: Sequence[Fault], instead: str) -> tuple[str, ...]:
    """What readers of a review must know of a file with faults; `instead` says what stands."""
    first = f"The settings in {PATH} on the base branch have faults and are not used: {instead} stand instead."
    return (first, *(f"{PATH}, {fault}" + ("" if fault.reason.endswith("?") else ".") for fault in faults))


_OPERATORS = "is the operator's business: a repository cannot say which model reviews, where, and with which key"
_REFUSED = dict.fromkeys(
    (
        *("model", "models", "base_url", "api_base", "api_url", "url", "endpoint", "host", "proxy", "headers"),
        *("key", "api_key", "apikey", "token", "secret", "password", "credentials"),
        *("openai_api_key", "anthropic_api_key", "gemini_api_key", "temperature", "max_tokens"),
    ),
    _OPERATORS,
)


def at_most(operators: int, repositorys: int | None) -> int:
    """A limit: a repository may lower what the operator allows, and not raise it."""
    return operators if repositorys is None else min(operators, repositorys)


# --- paths ----------------------------------------------------------------------------------------------------------


class PathFilter:
    """Which files of a change the settings leave out."""

    def __init__(self, settings: Settings) -> None:
        self._include, self._ignore = _globs(settings.include), _globs(settings.ignore)

    def why_not(self, path: str) -> str | None:
        """Why a file is left out, in words that go on after "it"; None: it is not."""
        if matches_globs(self._ignore, path):
            return f"is left out by `ignore` in {PATH}"
        if self._include and not matches_globs(self._include, path):
            return f"is not among the files of `include` in {PATH}"
        return None


def _globs(patterns: Iterable[str]) -> tuple[Glob, ...]:
    return tuple(map(parse_glob, patterns))


def wishes(settings: Settings, paths: Sequence[str]) -> tuple[Wish, ...]:
    """What the repository wants a model to mind that reads the files at `paths`."""
    general = (Wish((), settings.instructions),) if settings.instructions.strip() else ()
    special = (
        Wish(each.paths, each.instructions)
        for each in settings.path_instructions
        if any(matches_globs(globs, path) for globs in (_globs(each.paths),) for path in paths)
    )
    return (*general, *special)


# --- for editors ----------------------------------------------------------------------------------------------------


@cache
def settings_schema() -> bytes:
    """The JSON Schema of the settings file, as it is published."""
    _, parts = msgspec.json.schema_components([Settings], ref_template="#/$defs/{name}")
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"ReviewBot: {PATH}",
        **{key: value for key, value in parts["Settings"].items() if key != "title"},
        "$defs": {name: part for name, part in parts.items() if name != "Settings"},
    }
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"
