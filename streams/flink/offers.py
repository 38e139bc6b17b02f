"""The tenants' budgets of offers: what a tenant's users would be offered comes together, in event time."""

import time
from collections.abc import Iterator

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from operators.budget import Spent, spend
from operators.lifecycle import Settled
from streams import flow
from streams.realtime import put_publishing_first
from streams.rules import following

_decoder = msgspec.msgpack.Decoder(Settled)
_spent = msgspec.msgpack.Decoder(Spent)


class Offers(KeyedProcessFunction):  # type: ignore[misc]  # PyFlink has no types
    """Takes rows (tenant, time of decision, id, detected_ms, settled), gives rows to publish.

    What comes waits until event time has reached its time of decision: then all that was decided before it,
    on whichever instance, has come as well.
    """

    def __init__(self, rules_from: str) -> None:
        self._rules_from = rules_from

    def open(self, runtime_context: RuntimeContext) -> None:
        """Called by Flink before the first record."""
        put_publishing_first()
        self._waiting = runtime_context.get_map_state(
            MapStateDescriptor("waiting", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
        )
        self._spent = runtime_context.get_state(ValueStateDescriptor("spent", Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, row: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """A crossing waits for its moment."""
        _, at_ms, id_, detected_ms, settled = row
        # A key that sorts by time, then by id.
        self._waiting.put(f"{at_ms:015d} {id_}", msgspec.msgpack.encode((detected_ms, settled)))
        ctx.timer_service().register_event_time_timer(at_ms - 1)
        yield from ()

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Event time has reached a time of decision: what waits for it is decided, in its order."""
        kept = self._spent.value()
        spent = Spent() if kept is None else _spent.decode(kept)
        for key in sorted(key for key in list(self._waiting.keys()) if int(key[:15]) <= timestamp + 1):
            detected_ms, record = msgspec.msgpack.decode(self._waiting.get(key))
            self._waiting.remove(key)
            settled = _decoder.decode(record)
            rules = following(self._rules_from).book.at(settled.crossing.decided_at)
            policy = rules.of(ctx.get_current_key())
            spent, crossing = spend(spent, policy, settled.crossing)
            for out in flow.settle(flow.budgeted(settled, crossing), detected_ms, time.time() * 1000):
                yield Row(*out)
        self._spent.update(msgspec.msgpack.encode(spent))
