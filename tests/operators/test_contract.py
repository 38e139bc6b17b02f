"""What holds for every operator, found by itself: a new one is tested without writing a test.

An operator is a class of `operators/` with `start`, `step`, `due` and `wake`.
"""

import doctest
import importlib
import inspect
import pkgutil
import random
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, get_type_hints

import msgspec
import pytest

import operators
from schemas.events import Account, Event, Login, Replay, Support, Usage

VERBS = ("start", "step", "due", "wake")
HOUR_MS = 3_600_000
CONFIG = {"key": "acme/u1", "lead_ms": 600_000}
"""Values for the fields of an operator's configuration, by their names."""


def _modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(operators.__path__, "operators.")
    return [importlib.import_module(module.name) for module in found]


def _operators() -> list[type[Any]]:
    return [
        member
        for module in _modules()
        for _, member in inspect.getmembers(module, inspect.isclass)
        if member.__module__ == module.__name__ and all(hasattr(member, verb) for verb in VERBS)
    ]


def _made(operator: type[Any]) -> Any:
    fields = msgspec.structs.fields(operator)
    return operator(**{field.name: CONFIG[field.name] for field in fields if field.name in CONFIG})


def _events(seed: int) -> list[Event]:
    """Sixty days of a user who fades: all kinds of events, in the order of their time."""
    dice = random.Random(seed)
    found: list[Event] = []
    ts = 1_700_000_000_000
    for number in range(300):
        ts += int(dice.expovariate(1 / (HOUR_MS * (1 + number / 30))))
        common: dict[str, Any] = {"event_id": f"e{number}", "tenant": "acme", "user_id": "u1", "ts": ts}
        if dice.random() < 0.1:
            common["replay"] = Replay(until=ts, compose=dice.random() < 0.5)
        kinds: list[Event] = [
            Login(**common, action=dice.choice(["login", "logout"])),
            Usage(**common, feature="export", outcome=dice.choice(["ok", "error"])),
            Support(**common, text="Where is the export?"),
            Account(**common, plan="pro", consent=dice.random() < 0.9),
        ]
        found.append(dice.choice(kinds))
    return found


def _lived(
    operator: Any, events: list[Event], between: Callable[[Any], Any] = lambda state: state
) -> Iterator[tuple[Any, Any]]:
    """Each state and what came out with it: woken whenever due, as event time follows the events.

    `between` is what happens to a state from one call to the next.
    """
    state = operator.start()
    knows_watermark = "watermark_ms" in inspect.signature(operator.step).parameters
    for event in events:
        while (due := operator.due(state)) is not None and due < event.ts:
            state, outputs = operator.wake(between(state), due)
            yield state, outputs
        late = {"watermark_ms": event.ts - 1} if knows_watermark else {}
        state, outputs = operator.step(between(state), event, **late)
        yield state, outputs


def _state_type(operator: type[Any]) -> Any:
    return get_type_hints(operator.start)["return"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("operator", _operators())
class TestEveryOperator:
    def test_is_a_frozen_configuration(self, operator: type[Any], seed: int) -> None:
        assert issubclass(operator, msgspec.Struct)
        assert operator.__struct_config__.frozen
        assert _made(operator) == _made(operator)

    def test_gives_the_same_for_the_same_input(self, operator: type[Any], seed: int) -> None:
        events = _events(seed)
        lives = [list(_lived(_made(operator), events)) for _ in range(2)]
        assert lives[0] == lives[1]
        assert any(outputs for _, outputs in lives[0]), "nothing came out: the check says nothing"

    @pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack], ids=["json", "msgpack"])
    def test_its_state_survives_the_codec(self, operator: type[Any], seed: int, codec: Any) -> None:
        def stored(state: Any) -> Any:
            return codec.decode(codec.encode(state), type=_state_type(operator))

        events = _events(seed)
        assert list(_lived(_made(operator), events, stored)) == list(_lived(_made(operator), events))

    def test_leaves_its_input_as_it_was(self, operator: type[Any], seed: int) -> None:
        kept: list[tuple[Any, bytes]] = []

        def watched(state: Any) -> Any:
            kept.append((state, msgspec.msgpack.encode(state)))
            return state

        events = _events(seed)
        before = msgspec.msgpack.encode(events)
        list(_lived(_made(operator), events, watched))
        assert msgspec.msgpack.encode(events) == before
        assert all(msgspec.msgpack.encode(state) == encoded for state, encoded in kept)

    def test_is_due_only_when_waking_it_changes_something(self, operator: type[Any], seed: int) -> None:
        made = _made(operator)
        for state, _ in _lived(made, _events(seed)):
            due = made.due(state)
            if due is not None:
                assert made.due(made.wake(state, due)[0]) != due, "it would be woken for ever"
                assert made.wake(state, due - 1) == (state, ())


def test_there_are_operators_to_be_found() -> None:
    assert [operator.__name__ for operator in _operators()]


@pytest.mark.parametrize("module", _modules(), ids=lambda module: module.__name__)
def test_every_module_shows_how_it_is_used(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted, "a module without an example"
    assert not result.failed
