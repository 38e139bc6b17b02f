"""What SQL takes for a tick, and the time and mark that it finds in one: Python reads the same patterns."""

import json
import re

import pytest

from schemas.codec import encode
from schemas.events import Replay, Tick
from streams.flink.job import CLOCK, MARK, TICK

MARKS = pytest.mark.parametrize("replay", [None, Replay(until=9), Replay(until=9, compose=True)])


@MARKS
def test_a_tick_is_known_as_ours_are_written(replay: Replay | None) -> None:
    assert re.search(TICK, encode(Tick(ts=7, replay=replay)).decode())
    assert not re.search(TICK, '{"kind":"tick","ts":"7","replay":null}')


@MARKS
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_its_time_and_mark_are_found_however_it_is_spaced(
    replay: Replay | None, separators: tuple[str, str]
) -> None:
    text = json.dumps(json.loads(encode(Tick(ts=1_700_000_000_000, replay=replay))), separators=separators)
    clock = re.search(CLOCK, text)
    assert clock is not None and int(clock[1]) == 1_700_000_000_000
    assert bool(re.search(MARK, text)) == (replay is not None)
