"""Every dependency has its reason on docs/dependencies.md, and the page names no other."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
STATED = {
    "To run": PROJECT["project"]["dependencies"],
    "To train": PROJECT["project"]["optional-dependencies"]["train"],
    "To develop": PROJECT["dependency-groups"]["dev"],
}


@pytest.mark.parametrize("title", STATED)
def test_the_table_and_the_project_agree(title: str) -> None:
    asked = [re.split(r"[^A-Za-z0-9-]", requirement)[0] for requirement in STATED[title]]
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


def reasons(title: str) -> dict[str, str]:
    """The rows of the page's table under the heading that begins with `title`."""
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    section = next(part for part in page.split("\n## ") if part.startswith(title))
    return dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", section, re.MULTILINE))
