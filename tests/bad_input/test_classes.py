"""Every class of bad input is sent by some test."""

from __future__ import annotations

import re

import pytest

from tests.bad_input.classes import CLASSES
from tests.house.tree import read


def test_all_classes_are_there() -> None:
    assert list(CLASSES) == list(range(1, 45))


@pytest.mark.parametrize("number", CLASSES)
def test_the_tests_of_a_class_exist(number: int) -> None:
    _, tests = CLASSES[number]
    assert tests
    for test in tests:
        path, _, rest = test.partition("::")
        name, _, case = rest.removesuffix("]").partition("[")
        text = read(f"tests/{path}")
        assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), test
        assert not case or f'"{case}"' in text, test
