"""Each mutant still fits the code, and the run tells one that is caught from one that survives or proves nothing."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house.tree import read
from tests.mutants.catalog import MUTANTS, Mutant
from tests.mutants.run import Misfit, Result, check_unmutated, mutated, report, tell, try_mutant

mutants = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


@mutants
def test_the_old_lines_of_a_mutant_stand_in_the_code_once_and_the_new_ones_are_code(mutant: Mutant) -> None:
    text = read(mutant.file)
    assert text.count(mutant.old) == 1
    changed = text.replace(mutant.old, mutant.new)
    assert changed != text
    if mutant.file.endswith(".py"):
        ast.parse(changed)


@mutants
def test_the_tests_of_a_mutant_exist(mutant: Mutant) -> None:
    assert mutant.tests
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert re.search(rf"^(async )?def {name}\(", read(path), re.MULTILINE), test


def test_no_two_mutants_have_one_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


# --- the run itself ---------------------------------------------------------------------------------------------------

TEST = "def test_two_and_two_are_four():\n    import sums\n    assert sums.add(2, 2) == 4\n"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one function and one test, which needs none of the plugins that take long to load."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "-p pytest_timeout"\n')
    (tmp_path / "sums.py").write_text("def add(a, b):\n    return a + b\n")
    (tmp_path / "test_sums.py").write_text(TEST)
    return tmp_path


def adding(new: str, *, old: str = "a + b", tests: tuple[str, ...] = ("test_sums.py",)) -> Mutant:
    return Mutant("adds wrongly", "sums.py", old, new, tests)


def test_a_mutant_is_caught_by_the_test_that_fails_and_taken_out_again(tree: Path) -> None:
    before = (tree / "sums.py").read_text()
    result = try_mutant(tree, adding("a - b"))
    assert (result.caught_by, result.trouble) == ("test_sums.py: test_two_and_two_are_four", "")
    assert (tree / "sums.py").read_text() == before


def test_a_mutant_that_no_test_notices_has_survived(tree: Path) -> None:
    result = try_mutant(tree, adding("a * b"))
    assert (result.caught_by, result.trouble) == ("", "")


def test_tests_that_cannot_be_run_have_caught_nothing(tree: Path) -> None:
    result = try_mutant(tree, adding("a - b", tests=("test_sums.py::test_that_is_gone",)))
    assert result.caught_by == ""
    assert "cannot be run (pytest ended with 4)" in result.trouble


def test_a_mutant_that_does_not_fit_the_code_any_more_is_said_to_be_so(tree: Path) -> None:
    assert try_mutant(tree, adding("", old="a % b")).trouble == "its old lines stand 0 times in sums.py"
    with pytest.raises(Misfit, match="stand 2 times"), mutated(tree, adding("", old="b")):
        pass


def test_a_test_that_fails_anyway_proves_nothing(tree: Path) -> None:
    assert check_unmutated(tree, [adding("a - b")]) == ""
    (tree / "sums.py").write_text("def add(a, b):\n    return a - b\n")
    assert (
        check_unmutated(tree, [adding("a + b")]) == "test_sums.py: test_two_and_two_are_four fails without any mutant"
    )


@pytest.mark.parametrize(
    ("result", "code", "said"),
    [
        (Result("test_sums.py: test_two", "", 1.0), 0, "test_sums.py: test_two"),
        (Result("", "", 1.0), 1, "SURVIVED"),
        (Result("", "no end within 240 s", 240.0), 1, "NOT CAUGHT: no end within 240 s"),
    ],
)
def test_only_a_mutant_that_was_caught_ends_well(
    result: Result, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mutant = adding("a - b")
    tell(mutant, result)
    assert report([(mutant, result)]) == code
    assert f"| adds wrongly | {said} |" in capsys.readouterr().out
