"""`holdfast examples` against topics in memory: what a person sees, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from inference.registry import Serving, write
from inference.room import FILE
from inference.tritonserver import MODEL
from schemas.codec import encode
from schemas.errors import InputError
from schemas.examples import Examples
from streams.cli import app
from streams.commands import examples
from streams.consumer import Record
from streams.examples import Shelf
from tests.streams.test_worked import BEST, world


class Topics:
    """The shelf, and what `holdfast examples` learns from."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.decisions, self.feedback = world()

    def publish(self, _: str, one: Examples) -> None:
        self.shelf.take([Record(0, 0, 0, one.key.encode(), encode(one))])


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Topics:
    topics = Topics()
    (tmp_path / MODEL / "1").mkdir(parents=True)
    (tmp_path / MODEL / "1" / FILE).write_text('{"example_tokens": 100}')
    monkeypatch.setenv("HOLDFAST_MODEL_REPOSITORY", str(tmp_path))
    monkeypatch.setattr(examples, "read_examples", lambda _: topics.shelf)
    monkeypatch.setattr(examples, "publish_examples", topics.publish)
    monkeypatch.setattr(examples, "read_decisions", lambda _: topics.decisions)
    monkeypatch.setattr(examples, "read_feedback", lambda _: topics.feedback)
    return topics


def said(*words: str) -> Result:
    return CliRunner().invoke(app, ["examples", *words], catch_exceptions=True)


def test_looking_publishes_nothing_and_says_what_became_of_all_scripts(topics: Topics) -> None:
    done = said("update", "--tenant", "acme")
    assert done.exit_code == 0 and topics.shelf.tenants == []
    assert "50 users, 40.0% answered (at least 27.6%), other scripts 10.0%" in done.stdout
    assert f"  {BEST}\n" in done.stdout
    assert "3 scripts (real outcomes): 1 worked, 1 too few users, 1 not certainly better\n" in done.stdout


def test_what_worked_holds_once_it_is_applied_and_the_same_again_is_no_new_version(topics: Topics) -> None:
    first = json.loads(said("update", "--tenant", "acme", "--apply", "--json").stdout)
    held = topics.shelf.of("acme")
    assert held is not None and held.version == first["published"] and held.examples[0].template == BEST
    again = said("update", "--tenant", "acme", "--apply")
    assert again.exit_code == 0 and f"version {held.version} holds already" in again.stdout
    assert len(topics.shelf.versions("acme")) == 1
    shown = said("show", "--tenant", "acme")
    assert f"version {held.version} holds (real outcomes); there are: {held.version}\n" in shown.stdout
    assert "takes no examples" not in shown.stderr


def test_where_nothing_worked_what_holds_goes_on(topics: Topics) -> None:
    said("update", "--tenant", "acme", "--apply")
    before = topics.shelf.of("acme")
    topics.feedback = []
    done = said("update", "--tenant", "acme", "--apply")
    assert done.exit_code == 1 and "no script has worked" in done.stderr
    assert topics.shelf.of("acme") == before


def test_an_earlier_version_or_none_holds_again(topics: Topics) -> None:
    said("update", "--tenant", "acme", "--apply")
    first = topics.shelf.of("acme")
    assert first is not None
    assert "0 examples" in said("use", "--tenant", "acme", "none").stdout
    none = topics.shelf.of("acme")
    assert none is not None and none.examples == ()
    assert f"version {none.version} holds (shows none)" in said("show", "--tenant", "acme").stdout
    earlier = said("show", "--tenant", "acme", first.version).stdout
    assert f"version {first.version} does not hold, {none.version} does (real outcomes)" in earlier
    assert json.loads(said("use", "--tenant", "acme", first.version, "--json").stdout) == {
        "holds": first.version
    }
    shown = json.loads(said("show", "--tenant", "acme", none.version, "--json").stdout)
    assert (shown["holds"], shown["versions"]) == (first.version, [none.version, first.version])
    assert shown["examples"]["version"] == none.version


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("show", "--tenant", "acme", "9"), "tenant acme has no version 9 of its examples; there are: none"),
        (("use", "--tenant", "nobody", "none"), "tenant nobody has no examples"),
    ],
)
def test_what_is_not_there_is_named(topics: Topics, words: tuple[str, ...], problem: str) -> None:
    done = said(*words)
    assert isinstance(done.exception, InputError) and problem in str(done.exception)


def test_so_few_users_that_a_script_could_be_one_user_s_own_are_refused(topics: Topics) -> None:
    done = said("update", "--tenant", "acme", "--least", "9")
    assert done.exit_code == 2 and "equal to 10" in " ".join(done.stderr.split())


def test_a_tenant_without_examples_is_told_how_to_find_some(topics: Topics) -> None:
    assert "no examples yet: holdfast examples update" in said("show", "--tenant", "globex").stdout
    assert json.loads(said("show", "--tenant", "globex", "--json").stdout) == {
        "holds": None,
        "versions": [],
        "examples": None,
    }


def test_who_publishes_for_a_version_that_takes_none_is_told(topics: Topics, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / MODEL / "1", tmp_path / MODEL / "2")
    (tmp_path / MODEL / "2" / FILE).unlink()
    write(tmp_path, MODEL, Serving(promoted="2"))
    done = said("update", "--tenant", "acme", "--apply")
    assert done.exit_code == 0 and "version 2 of script takes no examples" in done.stderr
