"""The examples in the docstrings of what runs without the training extra."""

import doctest
from types import ModuleType

import pytest

from inference import nano, prompt
from inference.training import phrases


@pytest.mark.parametrize("module", [nano, prompt, phrases], ids=lambda module: module.__name__)
def test_examples_are_true(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted and not result.failed
