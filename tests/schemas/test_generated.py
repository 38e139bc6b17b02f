"""The generated files say what the types say, and are sound documents themselves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from schemas.codec import encode
from schemas.events import Login, Support, Tick
from schemas.generate import HERE, asyncapi, files, record_types
from schemas.topics import TOPICS

EVENTS = (
    Login(event_id="e1", tenant="acme", user_id="u/1😀", ts=1_700_000_000_000),
    Support(event_id="e2", tenant="acme", user_id="u1", ts=1, text="救命", lang="zh"),
    Tick(ts=5),
)


@pytest.mark.parametrize(("path", "text"), tuple(files()), ids=lambda value: getattr(value, "name", ""))
def test_the_committed_file_is_what_the_types_give(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run: python -m schemas.generate"


def test_no_generated_file_is_left_over() -> None:
    assert set((HERE / "json").iterdir()) == {path for path, _ in files() if path.suffix == ".json"}


@pytest.mark.parametrize("event", EVENTS)
def test_a_json_schema_takes_what_we_publish(event: Any) -> None:
    schema = json.loads((HERE / "json" / f"{type(event).__name__.lower()}.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(encode(event)))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "usage"},
        {"tenant": "a/b"},
        {"user_id": "two words"},
        {"user_id": "u1\n"},
        {"event_id": ""},
        {"ts": "today"},
        {"ts": -1},
        {"channel": ""},
    ],
)
def test_a_json_schema_refuses_what_we_would_reject(change: dict[str, Any]) -> None:
    schema = json.loads((HERE / "json" / "login.json").read_text())
    event = json.loads(encode(EVENTS[0])) | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(event)


def test_asyncapi_is_yaml_for_the_document() -> None:
    assert yaml.safe_load((HERE / "asyncapi.yaml").read_text(encoding="utf-8")) == asyncapi()


def test_every_reference_in_asyncapi_leads_somewhere() -> None:
    document = asyncapi()
    for reference in references(document):
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_asyncapi_describes_every_topic_with_its_types() -> None:
    channels = asyncapi()["channels"]
    assert {name: tuple(channel["messages"]) for name, channel in channels.items()} == {
        topic.name: tuple(record.__name__ for record in topic.types) for topic in TOPICS
    }


def test_every_record_type_says_what_it_is() -> None:
    assert all(record.__doc__ for record in record_types())


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "$ref":
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)
