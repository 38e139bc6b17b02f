"""Prints all decisions published since a time (epoch ms) again, for a consumer that lost some.

    python replay.py 1700000000000

It belongs to no group, so nobody's place in the topic moves. The ids are those of the first time.
"""

import os
import sys

from kafka import KafkaConsumer, TopicPartition

since_ms = int(sys.argv[1])
servers = os.environ.get("HOLDFAST_BOOTSTRAP_SERVERS", "127.0.0.1:9092").split(",")
consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
places = [TopicPartition("decisions", number) for number in consumer.partitions_for_topic("decisions")]
ends = consumer.end_offsets(places)
begins = consumer.offsets_for_times(dict.fromkeys(places, since_ms))
consumer.assign(places)
for place, begin in begins.items():
    consumer.seek(place, ends[place] if begin is None else begin.offset)
while any(consumer.position(place) < end for place, end in ends.items()):
    for records in consumer.poll(timeout_ms=500).values():
        for record in records:
            print(record.value.decode())
consumer.close()
