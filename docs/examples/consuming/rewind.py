"""Takes a consumer group back to a time (epoch ms): its members, who are stopped, go on from there.

    python rewind.py mailer interventions 1700000000000

The broker refuses while it knows of a member, and of one that was killed it knows for 45 s. The ids are those
of the first time.
"""

import os
import sys
import time

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import CommitFailedError

GIVE_UP_S = 60

group, topic, since_ms = sys.argv[1], sys.argv[2], int(sys.argv[3])
servers = os.environ.get("HOLDFAST_BOOTSTRAP_SERVERS", "127.0.0.1:9092").split(",")
consumer = KafkaConsumer(bootstrap_servers=servers, group_id=group, enable_auto_commit=False)
places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
ends = consumer.end_offsets(places)
begins = consumer.offsets_for_times(dict.fromkeys(places, since_ms))
offsets = {place: ends[place] if begin is None else begin.offset for place, begin in begins.items()}
consumer.assign(places)
end_s = time.monotonic() + GIVE_UP_S
while True:
    try:
        consumer.commit({place: OffsetAndMetadata(offset, "", -1) for place, offset in offsets.items()})
        break
    except CommitFailedError:
        if time.monotonic() > end_s:
            sys.exit(f"{group} has a member that runs: stop it first")
        time.sleep(2)  # the broker tells nobody when it has given a member up
consumer.close(autocommit=False)
print(f"{group} has {sum(ends.values()) - sum(offsets.values())} records of {topic} before it")
