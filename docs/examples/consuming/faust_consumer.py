"""Consumes interventions with Faust; a table remembers the ids.

python faust_consumer.py worker --without-web -l warn
"""

import json
import os
import sys

import faust

servers = os.environ.get("HOLDFAST_BOOTSTRAP_SERVERS", "127.0.0.1:9092")
app = faust.App(
    "faust-mailer",
    broker=[f"kafka://{server}" for server in servers.split(",")],
    store="memory://",
    topic_partitions=8,  # as many as the topic has, so that the table's parts lie beside its readers
    topic_replication_factor=1,
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
)
interventions = app.topic(
    "interventions", key_type=bytes, key_serializer="raw", value_type=bytes, value_serializer="raw"
)
seen = app.Table("seen", default=bool, partitions=8)


@app.agent(interventions)
async def mail(stream: faust.StreamT) -> None:
    """Prints each decision once: a copy has the same id, and the same key, so it comes to the same table."""
    async for value in stream:
        decision = json.loads(value)
        if not seen[decision["id"]]:
            seen[decision["id"]] = True
            words = decision["user_id"], decision["to_tier"], decision["script"]["text"]
            print(*words, file=sys.__stdout__, flush=True)  # Faust logs what goes to sys.stdout


if __name__ == "__main__":
    app.main()
