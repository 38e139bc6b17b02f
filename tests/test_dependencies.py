"""Every import is asked for; what is asked for, and no more, has its reason on docs/dependencies.md."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
STATED = {
    "To run": PROJECT["project"]["dependencies"],
    "To train": PROJECT["project"]["optional-dependencies"]["train"],
    "To develop": PROJECT["dependency-groups"]["dev"],
    "To compare": PROJECT["dependency-groups"]["peers"],
}
ELSEWHERE = {"faust": ["faust-streaming"]}
"""Libraries whose name is not that of what is asked for, in an environment that tests do not run in."""


@pytest.mark.parametrize("title", STATED)
def test_the_table_and_the_project_agree(title: str) -> None:
    asked = [name_of(requirement) for requirement in STATED[title]]
    assert reasons(title).keys() == set(asked)
    assert asked == sorted(asked), "keep them in order"


@pytest.mark.parametrize("title", STATED)
def test_each_has_a_reason(title: str) -> None:
    assert all(reasons(title).values())


def test_what_the_page_calls_pinned_is_pinned() -> None:
    exact = {
        requirement.split("==")[0].split("[")[0] for requirement in STATED["To run"] if "==" in requirement
    }
    assert {name for name, reason in reasons("To run").items() if "pinned" in reason} == exact


def test_every_library_that_is_imported_is_asked_for_by_name() -> None:
    # none of the training's libraries, where the extra is not installed
    known = ELSEWHERE | dict(packages_distributions())
    asked = {
        name_of(requirement)
        for title in ("To run", "To train", "To compare")
        for requirement in STATED[title]
    }
    assert {
        library for library in imported() if asked.isdisjoint(map(name_of, known.get(library, [library])))
    } == set()


def imported() -> Iterator[str]:
    """The libraries that our packages import, at their top or later."""
    packages: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    # What Triton gives to a model stands on no index.
    beside = {*packages, *sys.stdlib_module_names, "triton_python_backend_utils"}
    for path in (path for package in packages for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            yield from {name.partition(".")[0] for name in names} - beside


def name_of(requirement: str) -> str:
    """The distribution that a requirement asks for, in the spelling of indexes."""
    return re.split(r"[^a-z0-9-]", requirement.lower().replace("_", "-"))[0]


def reasons(title: str) -> dict[str, str]:
    """The rows of the page's table under the heading that begins with `title`."""
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    section = next(part for part in page.split("\n## ") if part.startswith(title))
    return dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", section, re.MULTILINE))
