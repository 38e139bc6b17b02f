"""The table of the comparison says for each candidate what it did, and what a kill cost it."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from benchmarks.peers.candidates import IN_PEERS, NAMES, SILENT, candidate
from benchmarks.peers.command import Report, Result, kills, speeds
from benchmarks.peers.tally import Comparison
from benchmarks.peers.trial import Killed, Silent, Speed
from schemas.errors import InputError
from streams.telemetry import Latencies

NONE = Latencies().summary()
LOST = Comparison(expected=9, missing=3, different=2, repeated=1)


def result(name: str, comparison: Comparison) -> Result:
    return Result(
        name=name,
        speed=Speed(events=10, seconds=2, events_per_s=12_345, cpu_s_per_million=6.78),
        comparison=comparison,
        hop=NONE,
        silent=Silent(due=4, published=0, lateness=NONE),
        killed=Killed(comparison=LOST, back_after_s=21),
    )


def shown(table: Table) -> list[str]:
    page = StringIO()
    Console(width=80, file=page).print(table)
    return page.getvalue().splitlines()[1:]


def test_a_row_has_the_speed_and_the_verdict_and_another_the_loss() -> None:
    equal = Comparison(expected=9, missing=0, different=0, repeated=0)
    report = Report(results=[result("holdfast", equal), result("faust", LOST)], parameters={}, machine={})
    ours, peer = shown(speeds(report))
    assert {"12,345", "6.8", "yes"} <= set(ours.split())
    assert "3 missing, 2 different" in peer
    assert shown(kills(report))[1].split() == ["faust", "3", "2", "1", "21"]


def test_every_candidate_says_how_it_sees_silent_users() -> None:
    assert SILENT.keys() == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_candidate_can_be_started(name: str) -> None:
    parts = [part.name for part in candidate(name, Path(__file__))]
    assert parts == (["sieve", "flink"] if name == "holdfast" else [name])


@pytest.mark.parametrize("name", IN_PEERS)
def test_a_peer_without_its_environment_says_what_to_do(name: str) -> None:
    with pytest.raises(InputError, match="make peers-setup"):
        candidate(name, Path("nowhere"))
