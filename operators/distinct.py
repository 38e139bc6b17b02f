"""Copies of an event, which at-least-once delivery makes, count once."""

from collections.abc import Iterable

import msgspec

from schemas.events import Event


def distinct(events: Iterable[Event]) -> list[Event]:
    """One event per id. Of two that share an id, the choice is by content, not by the order they came in.

    >>> from schemas.events import Login
    >>> one, two = (Login(event_id="e1", tenant="acme", user_id="u1", ts=ts) for ts in (1, 2))
    >>> distinct([two, one, two]) == distinct([one, two]) == [one]
    True
    """
    chosen: dict[str, Event] = {}
    for event in events:
        other = chosen.setdefault(event.event_id, event)
        if other is not event and _order(event) < _order(other):
            chosen[event.event_id] = event
    return list(chosen.values())


def _order(event: Event) -> tuple[int, bytes]:
    return event.ts, msgspec.json.encode(event)
