"""Every Python file keeps the house rules, and every rule is seen to refuse a file that does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.house import rules
from tests.house.rules import Module
from tests.house.tree import PACKAGES, files, read

Rule = Callable[[Module], Iterator[str]]

# What may be longer than the house allows, and why. An entry that is no longer needed fails.
LONG_ON_PURPOSE: dict[str, str] = {
    "schema/events.py": "the whole vocabulary on one page; a part of it would not be found",
}


def modules(*folders: str) -> list[Module]:
    paths = [path for path in files() if path.endswith(".py") and path.split("/")[0] in folders]
    return [Module(path, read(path)) for path in paths if not path.startswith("tests/samples/")]


def complaints(rule: Rule, *folders: str, apart_from: str = "") -> list[str]:
    return [line for module in modules(*folders) if module.path != apart_from for line in rule(module)]


@pytest.mark.parametrize("rule", [rules.says_what_it_is_for, rules.silences_with_a_reason])
def test_every_module_and_every_test_keeps_the_rule(rule: Rule) -> None:
    nobody_complains(complaints(rule, *PACKAGES, "tests"))


@pytest.mark.parametrize("rule", [rules.package_file_is_only_a_docstring, rules.keeps_sql_in_files])
def test_every_module_keeps_the_rule(rule: Rule) -> None:
    nobody_complains(complaints(rule, *PACKAGES))


def test_the_environment_is_read_in_config_alone() -> None:
    nobody_complains(complaints(rules.reads_no_environment, *PACKAGES, apart_from="reviewbot/config.py"))


def test_the_command_line_alone_prints() -> None:
    nobody_complains(complaints(rules.does_not_print, *PACKAGES, apart_from="reviewbot/cli.py"))


def test_modules_and_functions_are_short_or_say_why_not() -> None:
    found = [*complaints(rules.fits_on_a_few_screens, *PACKAGES), *complaints(rules.functions_are_short, *PACKAGES)]
    places = {subject(line): line for line in found}
    nobody_complains([line for place, line in places.items() if place not in LONG_ON_PURPOSE])
    assert LONG_ON_PURPOSE.keys() - places.keys() == set(), "no longer needed"


def nobody_complains(found: list[str]) -> None:
    assert not found, "\n" + "\n".join(found)


def subject(complaint: str) -> str:
    """`path` of a module's complaint, `path function` of a function's."""
    head = complaint.split(": ")[0]
    path, _, rest = head.partition(":")
    return f"{path} {rest.split()[1]}" if rest else path


SENTENCE = '"""What this is for."""\n'
LONG_BODY = "".join(f"    x{n} = {n}\n" for n in range(60))

BROKEN: list[tuple[Rule, str]] = [
    (rules.says_what_it_is_for, "import ast\n"),
    (rules.says_what_it_is_for, '"""no end"""\n'),
    (rules.package_file_is_only_a_docstring, SENTENCE + "from reviewbot import errors\n"),
    (rules.fits_on_a_few_screens, SENTENCE + "x = 1\n" * 400),
    (rules.functions_are_short, "def f():\n" + LONG_BODY),
    (rules.functions_are_short, "class C:\n async def f():\n" + LONG_BODY),
    (rules.reads_no_environment, 'import os\nos.environ["PATH"]\n'),
    (rules.reads_no_environment, 'import os as o\no.getenv("PATH")\n'),
    (rules.reads_no_environment, "from os import environ as e\n"),
    (rules.does_not_print, 'print("hello")\n'),
    (rules.does_not_print, "from pprint import pprint\npprint([])\n"),
    (rules.keeps_sql_in_files, 'q = """\nselect *\nfrom event"""\n'),
    (rules.keeps_sql_in_files, 'q = "select * from event " \\\n  "where position > $1"\n'),
    (rules.keeps_sql_in_files, 'q = f"update {table}\\nset x = 1"\n'),
    (rules.keeps_sql_in_files, 'q = "create table a (b int);\\ncreate table c (d int)"\n'),
    (rules.silences_with_a_reason, "import yaml  # type: ignore\n"),
    (rules.silences_with_a_reason, "import yaml  # type: ignore[import-untyped]\n"),
    (rules.silences_with_a_reason, "x = 1  # noqa\n"),
    (rules.silences_with_a_reason, "x = 1  # a loop survives any error  # noqa\n"),
    (rules.silences_with_a_reason, "x = 1  # noqa: BLE001\n"),
    (rules.silences_with_a_reason, "# ruff: noqa\n"),
    (rules.silences_with_a_reason, "x = 1  # pragma: no cover\n"),
]


@pytest.mark.parametrize(("rule", "text"), BROKEN)
def test_a_file_that_breaks_the_rule_is_found_out(rule: Rule, text: str) -> None:
    assert len(list(rule(Module("schema/__init__.py", text)))) == 1


SOUND: list[tuple[Rule, str]] = [
    (rules.says_what_it_is_for, SENTENCE),
    (rules.package_file_is_only_a_docstring, SENTENCE),
    (rules.fits_on_a_few_screens, "x = 1\n" * 400),
    (rules.functions_are_short, 'def f():\n    """' + "\n".join("word" for _ in range(60)) + '"""\n' + LONG_BODY[:400]),
    (rules.does_not_print, "console.print(1)\n"),
    (rules.keeps_sql_in_files, 'q = "select position from event where stream = $1"\n'),
    (rules.keeps_sql_in_files, 'def f():\n    """Select rows\n    from the log."""\n'),
    (rules.keeps_sql_in_files, 'message = (\n    "with regard to "\n    "the log"\n)\n'),
    (rules.silences_with_a_reason, "import yaml  # type: ignore[import-untyped]  # ships no types of its own\n"),
    (rules.silences_with_a_reason, "x = 1  # noqa: BLE001 - a loop survives any error\n"),
    (rules.silences_with_a_reason, 's = "# noqa"\n'),
]


@pytest.mark.parametrize(("rule", "text"), SOUND)
def test_a_file_that_keeps_the_rule_is_let_through(rule: Rule, text: str) -> None:
    assert list(rule(Module("schema/__init__.py", text))) == []
