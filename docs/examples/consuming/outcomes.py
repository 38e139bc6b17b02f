"""Reports what came of a decision: the tenant knows it, and holdfast asks nobody else.

    python outcomes.py acme u1 62b219671b6f869acca2ffbd0f71ce86 clicked

`outcome_id` is made of what happened, so that reporting it twice is reporting it once.
"""

import json
import os
import sys
import time

from kafka import KafkaProducer

tenant, user_id, decision_id, kind = sys.argv[1:]
outcome = {
    "outcome_id": f"{decision_id}:{kind}",
    "decision_id": decision_id,
    "tenant": tenant,
    "user_id": user_id,
    "kind": kind,
    "ts": int(time.time() * 1000),
}
servers = os.environ.get("HOLDFAST_BOOTSTRAP_SERVERS", "127.0.0.1:9092").split(",")
producer = KafkaProducer(bootstrap_servers=servers, acks="all")
key = f"{tenant}/{user_id}".encode()  # the decision's own key, so that both meet
producer.send("outcomes", json.dumps(outcome).encode(), key).get(timeout=30)
producer.close()
