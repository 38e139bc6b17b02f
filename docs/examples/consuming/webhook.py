"""A relay from the topic `interventions` to a web hook: each script at least once, signed.

    WEBHOOK_URL=https://crm.example/hook WEBHOOK_SECRET=... python webhook.py

A request that fails for now is tried again with exponential back-off and full jitter; one that cannot
succeed, or failed too often, goes to the topic of dead letters. The offset is committed after either, so a
crash sends the same decision again, under the same `webhook-id`: the receiver drops ids that it has seen.
"""

import base64
import hashlib
import hmac
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable

DEAD_LETTERS = "interventions.undelivered"
TRIES = 8
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0  # 91 s of pauses at most, below Kafka's max.poll.interval of 300 s
TIMEOUT_S = 10.0
WORTH_ANOTHER_TRY = {408, 425, 429}

Post = Callable[[bytes, dict[str, str]], int]
"""Sends a body with headers, and gives the HTTP status; an OSError where nobody answers."""


def sign(secret: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    """The signature of Standard Webhooks: HMAC-SHA256 of id, time and body, in base64."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def deliver(
    message_id: str,
    body: bytes,
    secret: bytes,
    post: Post,
    sleep: Callable[[float], None] = time.sleep,
    chance: Callable[[], float] = random.random,
) -> str:
    """Why `body` could not be delivered; empty where it was."""
    problem = ""
    for number in range(TRIES):
        if number:
            sleep(chance() * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (number - 1)))
        now_s = int(time.time())
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": sign(secret, message_id, now_s, body),
        }
        try:
            status = post(body, headers)
        except OSError as error:
            problem = str(error)
            continue
        if 200 <= status < 300:
            return ""
        problem = f"HTTP {status}"
        if status < 500 and status not in WORTH_ANOTHER_TRY:
            return problem
    return f"{problem}, {TRIES} times"


def poster(url: str) -> Post:
    """Posts to `url`."""

    def post(body: bytes, headers: dict[str, str]) -> int:
        request = urllib.request.Request(url, body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    return post


def main() -> None:
    """Relay for ever."""
    import json

    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
    from kafka.errors import TopicAlreadyExistsError

    servers = os.environ.get("HOLDFAST_BOOTSTRAP_SERVERS", "127.0.0.1:9092").split(",")
    secret, post = os.environ["WEBHOOK_SECRET"].encode(), poster(os.environ["WEBHOOK_URL"])
    admin = KafkaAdminClient(bootstrap_servers=servers)
    try:
        admin.create_topics({DEAD_LETTERS: {"num_partitions": 8}})
    except TopicAlreadyExistsError:
        pass
    admin.close()
    dead_letters = KafkaProducer(bootstrap_servers=servers, acks="all")
    consumer = KafkaConsumer(
        "interventions",
        bootstrap_servers=servers,
        group_id=os.environ.get("WEBHOOK_GROUP", "webhook"),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=1,
    )
    for record in consumer:
        message_id = json.loads(record.value)["id"]
        problem = deliver(message_id, record.value, secret, post)
        if problem:
            headers = [("problem", problem.encode())]
            dead_letters.send(DEAD_LETTERS, record.value, record.key, headers).get(timeout=30)
        place = TopicPartition(record.topic, record.partition)
        consumer.commit({place: OffsetAndMetadata(record.offset + 1, "", -1)})
        print(message_id, problem or "delivered", flush=True)


if __name__ == "__main__":
    main()
