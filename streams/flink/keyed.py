"""The keyed operator: one user's life in Flink's state, woken by event-time timers."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec
from msgspec import Struct
from pyflink.common import Row, Types
from pyflink.datastream import KeyedCoProcessFunction, OutputTag, RuntimeContext, TimerService
from pyflink.datastream.state import ValueStateDescriptor
from pyflink.metrics import MetricGroup

from operators.lifecycle import Lifecycle, Settled
from operators.userstate import UserState
from schemas.decision import DraftRequest
from schemas.errors import RejectedEvent, UnavailableError
from schemas.events import Tick
from schemas.policy import RuleBook
from streams import flow
from streams.flink.rest import RULES_HEARD_METRIC, RULES_VERSIONS_METRIC
from streams.realtime import keep_what_is_loaded, put_publishing_first
from streams.rules import Following, following
from streams.tenants import Tenants

_BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
# PyFlink hands a state of plain bytes over one by one, as numbers; a pickled one goes as it is.
_STATE = Types.PICKLED_BYTE_ARRAY()
_TURN_S = 0.0005
_NO_RULES = RuleBook()
RECORD = Types.ROW([Types.STRING(), Types.INT(), Types.LONG(), Types.LONG(), _BYTES, _BYTES])
OUTPUT = Types.ROW_NAMED(["topic", "key", "value"], [Types.STRING(), _BYTES, _BYTES])
OFFERS = OutputTag(
    "offers",
    Types.ROW_NAMED(
        ["tenant", "at_ms", "id", "detected_ms", "settled"],
        [Types.STRING(), Types.LONG(), Types.STRING(), Types.DOUBLE(), Types.PICKLED_BYTE_ARRAY()],
    ),
)
"""Crossings that the tenant's budget of offers has a say in."""
_Out: TypeAlias = Row | tuple[OutputTag, Row]


class _Kept(Struct, frozen=True, array_like=True):
    """A user's state as Flink keeps it, and the time (ms) of the timer that stands for it."""

    state: UserState
    timer: int | None


_decoder = msgspec.msgpack.Decoder(_Kept)
_encoder = msgspec.msgpack.Encoder()


class _Told:
    """What Flink's metrics say of the rules that this process follows.

    They are counters, which are Java's own and may be set from any thread. A gauge would have a thread of
    Flink's call Python with the thread state of the operator, which may be at work meanwhile.
    """

    def __init__(self, metrics: MetricGroup) -> None:
        self._heard_ms = metrics.counter(RULES_HEARD_METRIC)
        self._versions = metrics.counter(RULES_VERSIONS_METRIC)

    def __call__(self, heard_ms: int, versions: int) -> None:
        self._heard_ms.inc(heard_ms - self._heard_ms.get_count())
        self._versions.inc(versions - self._versions.get_count())


class Lives(KeyedCoProcessFunction):  # type: ignore[misc]  # PyFlink has no types
    """Takes records as rows (topic, partition, offset, append_ms, key, value), gives rows to publish.

    Those are (topic, key, value). A record that is accepted has its user's key.

    The rules are those of the topic on the broker `rules_from`; without one there are none. They are read at
    the first record: what was published before anything was sent is surely known then. A timer stands at the
    user's next change, or before it: an active user puts that off with every hour, and a timer that is left
    where it is costs less than to set it anew each time.
    """

    def __init__(self, tenants: Tenants, lead_ms: int = 0, rules_from: str | None = None) -> None:
        self._tenants = tenants
        self.rules_from = rules_from
        self._lead_ms = lead_ms
        self._rules: Following | None = None
        self._told: _Told | None = None
        self._watermark_ms: int | None = None
        self._detected_ms = 0.0

    def open(self, runtime_context: RuntimeContext) -> None:
        """Called by Flink before the first record."""
        if "embedded" not in type(runtime_context).__module__:
            raise UnavailableError(
                "Flink does not run the keyed operator in thread mode, and would be too slow"
            )
        # Instances share the interpreter: 5 ms, the default, are a tenth of the budget to wait for a turn.
        sys.setswitchinterval(_TURN_S)
        # Flink lets through what the client of the rules says to debuggers, line by line into Java's log.
        logging.getLogger().setLevel(logging.WARNING)
        self._state = runtime_context.get_state(ValueStateDescriptor("user", _STATE))
        put_publishing_first()
        keep_what_is_loaded()
        self._told = _Told(runtime_context.get_metrics_group())

    def close(self) -> None:
        """Called by Flink after the last record, or before it begins again after a failure."""
        if self._rules is not None and self._told is not None:
            self._rules.unwatch(self._told)

    def process_element1(self, row: Row, ctx: KeyedCoProcessFunction.Context) -> Iterable[_Out]:
        """An event changes its user's state; what is rejected goes into the dead-letter topic."""
        return self._processed(row, ctx)

    def process_element2(self, row: Row, ctx: KeyedCoProcessFunction.Context) -> Iterable[_Out]:
        """An answer does so as well."""
        return self._processed(row, ctx)

    def _processed(self, row: Row, ctx: KeyedCoProcessFunction.Context) -> Iterable[_Out]:
        topic, partition, offset, append_ms, key, value = row
        place = flow.Place(topic, partition, offset, append_ms)
        try:
            record = flow.admit(place, key, value)
        except RejectedEvent as error:
            return [Row(*flow.reject(place, key, value, error))]
        if isinstance(record, Tick):
            return ()
        timers = ctx.timer_service()
        life, kept = self._life(key.decode()), self._load()
        after, found = life.step(kept.state, record, timers.current_watermark())
        if after is not kept.state:
            self._keep(life, kept, after, timers)
        return self._published(found, time.time() * 1000) if found else ()

    def on_timer(self, timestamp: int, ctx: KeyedCoProcessFunction.OnTimerContext) -> Iterable[_Out]:
        """The watermark has reached the last millisecond before a boundary at which something may change."""
        timers = ctx.timer_service()
        watermark_ms = timers.current_watermark()
        if watermark_ms != self._watermark_ms:
            # Every timer that one watermark lets fire was detected when the first of them fired.
            self._watermark_ms, self._detected_ms = watermark_ms, time.time() * 1000
        life, kept = self._life(ctx.get_current_key()), self._load()
        after, found = life.wake(kept.state, watermark_ms)
        self._keep(life, _Kept(kept.state, None), after, timers)  # this was the timer that stood for it
        return self._published(found, self._detected_ms)

    def _published(self, found: Iterable[Settled | DraftRequest], detected_ms: float) -> Iterator[_Out]:
        for one in found:
            if isinstance(one, Settled) and flow.may_offer(one, self._tenants, self._book):
                crossing = one.crossing
                ms = crossing.detected_ms or detected_ms
                yield OFFERS, Row(crossing.tenant, crossing.decided_at, crossing.id, ms, _encoder.encode(one))
                continue
            for out in flow.settle(one, detected_ms, time.time() * 1000):
                yield Row(*out)

    @property
    def _book(self) -> RuleBook:
        if self.rules_from is None:
            return _NO_RULES
        if self._rules is None:
            self._rules = following(self.rules_from)
            if self._told is not None:
                self._rules.watch(self._told)
        return self._rules.book

    def _life(self, user: str) -> Lifecycle:
        return flow.lifecycle(user, self._tenants, self._book, self._lead_ms)

    def _load(self) -> _Kept:
        kept = self._state.value()
        return _Kept(Lifecycle.start(), None) if kept is None else _decoder.decode(kept)

    def _keep(self, life: Lifecycle, kept: _Kept, after: UserState, timers: TimerService) -> None:
        due, timer = life.due(after), kept.timer
        if due is not None and (timer is None or due < timer):
            if timer is not None:
                timers.delete_event_time_timer(timer)
            timers.register_event_time_timer(due)
            timer = due
        self._state.update(_encoder.encode(_Kept(after, timer)))
