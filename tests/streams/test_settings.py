"""What the environment may state, and what is said of a value that cannot be used."""

from pathlib import Path

import pytest

from schemas.errors import InputError
from streams import settings as module
from streams.settings import STATE_FILE, Settings, load_settings, variable, with_ports


def test_nothing_stated_gives_the_embedded_stack_on_its_default_ports(tmp_path: Path) -> None:
    settings = load_settings({"HOLDFAST_WORK_DIR": str(tmp_path)})

    assert settings.bootstrap_servers == "127.0.0.1:9092"
    assert settings.redis_url == "redis://127.0.0.1:6379/0"
    assert settings.triton_url == "127.0.0.1:8001"
    assert settings.watermark_bound_ms == 1000


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("HOLDFAST_BROKER_PORT", "kafka", "Expected `int`"),
        ("HOLDFAST_BROKER_PORT", "70000", "<= 65535"),
        ("HOLDFAST_BUDGET_MS", "0", ">= 1"),
        ("HOLDFAST_PARALLELISM", "2.5", "Expected `int`"),
        ("HOLDFAST_STATE_BACKEND", "forst", "Invalid enum value"),
    ],
)
def test_a_wrong_value_is_named_with_its_problem(name: str, text: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        load_settings({name: text})

    assert name in str(caught.value) and text in str(caught.value) and problem in str(caught.value)


def test_an_empty_variable_states_nothing() -> None:
    assert load_settings({"HOLDFAST_BROKER_PORT": ""}).given == frozenset()


def test_a_port_that_the_stack_noted_is_found_by_every_later_command(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_text('{"broker_port": 19092}')

    settings = load_settings({"HOLDFAST_WORK_DIR": str(tmp_path)})

    assert settings.bootstrap_servers == "127.0.0.1:19092"


def test_the_environment_goes_before_what_the_stack_noted(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_text('{"broker_port": 19092, "redis_port": 16379}')
    stated = {
        "HOLDFAST_WORK_DIR": str(tmp_path),
        "HOLDFAST_BOOTSTRAP_SERVERS": "kafka.example:9092",
        "HOLDFAST_REDIS_PORT": "7000",
    }

    settings = load_settings(stated)

    assert settings.bootstrap_servers == "kafka.example:9092"
    assert settings.redis_url == "redis://127.0.0.1:7000/0"


def test_a_note_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_text("{")

    with pytest.raises(InputError, match="delete it"):
        load_settings({"HOLDFAST_WORK_DIR": str(tmp_path)})


def test_an_address_that_was_given_does_not_move_with_the_port() -> None:
    settings = load_settings({"HOLDFAST_REDIS_URL": "unix:///run/redis.sock"})

    assert with_ports(settings, {"redis_port": 7000}).redis_url == "unix:///run/redis.sock"


def test_another_process_gets_the_same_settings_through_the_environment(tmp_path: Path) -> None:
    settings = with_ports(Settings(work_dir=tmp_path, budget_ms=40), {"redis_port": 7000})

    there = load_settings(settings.variables())

    assert there.variables() == settings.variables()


def test_every_variable_is_described_where_people_look() -> None:
    text = module.__doc__ or ""

    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")

    for told in (text, page):
        assert [name for name in Settings().variables() if f"`{name}`" not in told] == []
        assert f"`{variable('tenants_file')}`" in told
