"""The matrix has a row for each figure, and the lead time is counted from what a log shows."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.codec import encode
from schemas.events import Usage
from streams.batch import recompute
from streams.cli import app
from streams.matrix import METRICS, lead_time

DAY_MS = 86_400_000
HOUR_MS = DAY_MS // 24


def uses(user: str, days: range) -> list[Usage]:
    """Three active hours on each of the days."""
    return [
        Usage(
            event_id=f"{user}-{day}-{hour}",
            tenant="acme",
            user_id=user,
            ts=day * DAY_MS + hour * HOUR_MS,
            feature="export",
        )
        for day in days
        for hour in range(3)
    ]


def lead_days(events: list[Usage], until_day: int) -> tuple[float | None, int]:
    last = {event.key: event.ts for event in sorted(events, key=lambda event: event.ts)}
    figure = lead_time(recompute(map(encode, events), until_day * DAY_MS), last)
    return figure.value, figure.n


def test_who_stops_after_forty_days_is_seen_weeks_before_the_loss_is_certain() -> None:
    value, n = lead_days(uses("u1", range(40)), until_day=100)
    # `high` is reached on the sixth day of silence, and the loss is certain after thirty.
    assert n == 1
    assert value == pytest.approx(30 - 5, abs=1)


def test_who_may_still_come_back_has_not_left() -> None:
    assert lead_days(uses("u1", range(40)), until_day=60) == (None, 0)


def test_a_decline_that_was_made_good_is_no_warning_of_a_loss_a_year_later() -> None:
    pauses = [*uses("u1", range(40)), *uses("u1", range(50, 400))]
    value, n = lead_days(pauses, until_day=500)
    assert n == 1
    assert value is not None
    assert value < 31


def test_the_command_gives_every_figure_or_says_why_not(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.jsonl"
    nothing.touch()
    files = ["--decisions", str(nothing), "--outcomes", str(nothing)]
    answer = CliRunner().invoke(app, ["evaluate", *files, "--json", "--out", str(tmp_path / "report")])
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    assert list(found) == [metric.name for metric in METRICS]
    assert found == json.loads((tmp_path / "report" / "matrix.json").read_text())
    assert all((figure["value"] is None) == bool(figure["missing"]) for figure in found.values())
    assert 0.5 < found["auc"]["ci"][0] < found["auc"]["value"] < found["auc"]["ci"][1] < 1
    assert found["ltv_effect"]["missing"] == "no outcome has been reported"
    assert "no outcome has been reported" in (tmp_path / "report" / "matrix.svg").read_text()


def test_a_line_that_is_no_record_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('\n{"id": 7}\n')
    answer = CliRunner().invoke(app, ["evaluate", "--decisions", str(bad), "--outcomes", str(bad)])
    assert str(answer.exception).startswith(f"line 2 of {bad}: ")
