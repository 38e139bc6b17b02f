"""What other languages read: a JSON Schema per record type, and AsyncAPI of the topics.

Both are derived from the types and the table of topics, and committed; a test fails when they drift.
`python -m schemas.generate` writes them anew.
"""

import json
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any, Literal

import msgspec

from schemas.topics import EVENT_TOPICS, OUTCOMES, RULES, TOPICS, Topic

HERE = Path(__file__).parent
VERSION = "0.1.0"
"""The version of the contract, in `info` of the AsyncAPI document."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_INFO = """ The topics of holdfast. Every record is one JSON object in UTF-8. The key of a record is
`tenant/user_id`, that of a tick is `tick`; the dead letters of records without a key have none. All topics
that are keyed by user have the same number of partitions and the same partitioner (Kafka's default, murmur2),
so that a user's records stay in the partition of the same number.
"""


def main() -> None:
    """Write every generated file next to this one."""
    for path, text in files():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def files() -> Iterator[tuple[Path, str]]:
    """Each generated file and what it must hold."""
    for record in record_types():
        schema = _cleaned(msgspec.json.schema(record))
        text = json.dumps({"$schema": _DIALECT, **schema}, indent=2, ensure_ascii=False)
        yield HERE / "json" / f"{record.__name__.lower()}.json", text + "\n"
    yield HERE / "asyncapi.yaml", "".join(f"{line}\n" for line in _yaml(asyncapi()))


def record_types() -> tuple[Any, ...]:
    """Every type that some topic carries, each once, in the order of the topics."""
    return tuple(dict.fromkeys(record for topic in TOPICS for record in topic.types))


def direction_of(record: Any) -> Literal["published", "accepted"]:
    """Whether holdfast publishes records of this type, or accepts them from others."""
    topics = (topic for topic in TOPICS if record in topic.types)
    return "accepted" if any(_verb(topic) == "receive" for topic in topics) else "published"


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document of the topics."""
    _, schemas = msgspec.json.schema_components(record_types(), ref_template="#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "holdfast", "version": VERSION, "description": _INFO.strip()},
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {f"{_verb(topic)}.{topic.name}": _operation(topic) for topic in TOPICS},
        "components": {
            "messages": {record.__name__: _message(record) for record in record_types()},
            "schemas": _cleaned(schemas),
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    configuration = {
        "cleanup.policy": ["compact" if topic.compacted else "delete"],
        "retention.ms": topic.retention_ms,
        "max.message.bytes": topic.max_bytes,
    }
    return {
        "address": topic.name,
        "messages": {
            record.__name__: {"$ref": f"#/components/messages/{record.__name__}"} for record in topic.types
        },
        "bindings": {
            "kafka": {
                "bindingVersion": "0.5.0",
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": configuration,
            }
        },
    }


def _verb(topic: Topic) -> str:
    """What holdfast does with the topic, as AsyncAPI tells it from the application's side."""
    return "receive" if topic in (*EVENT_TOPICS, OUTCOMES, RULES) else "send"


def _operation(topic: Topic) -> dict[str, Any]:
    return {
        "action": _verb(topic),
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "messages": [
            {"$ref": f"#/channels/{topic.name}/messages/{record.__name__}"} for record in topic.types
        ],
    }


def _message(record: Any) -> dict[str, Any]:
    message = {
        "name": record.__name__,
        "summary": cleandoc(record.__doc__).split("\n\n")[0].replace("\n", " "),
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{record.__name__}"},
    }
    if "user_id" in record.__struct_fields__:
        message["bindings"] = {
            "kafka": {
                "bindingVersion": "0.5.0",
                "key": {"type": "string", "description": "tenant/user_id"},
            }
        }
    return message


def _cleaned(schema: Any) -> Any:
    """`schema` with the indentation of docstrings taken off its descriptions."""
    if isinstance(schema, dict):
        return {
            name: cleandoc(value) if name == "description" and isinstance(value, str) else _cleaned(value)
            for name, value in schema.items()
        }
    return [_cleaned(value) for value in schema] if isinstance(schema, list | tuple) else schema


def _yaml(value: Any, indent: str = "") -> Iterator[str]:
    """`value` in YAML's block style; scalars are JSON, of which YAML is a superset."""
    items = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    for name, item in items:
        head = f"{indent}-" if name is None else f"{indent}{name}:"
        if not isinstance(item, dict | list) or not item:
            yield f"{head} {json.dumps(item, ensure_ascii=False)}"
        elif name is None:
            first, *rest = _yaml(item, f"{indent}  ")
            yield f"{head} {first.lstrip()}"
            yield from rest
        else:
            yield head
            yield from _yaml(item, f"{indent}  ")


if __name__ == "__main__":
    main()
