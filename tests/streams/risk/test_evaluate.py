"""`holdfast evaluate risk`, from the command line, on generated logs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from schemas.errors import HoldfastError, InputError, UnavailableError
from streams.cli import app

START_S = 1_499_990_400
DAY_S = 86_400


def chat(path: Path, *, days: int = 120, kinds: bool = True, **changes: Any) -> Path:
    """Forty users, of whom each comes each day at first, then seldom, and then no more."""
    dice = np.random.default_rng(1)
    ts_s: list[int] = []
    user: list[str] = []
    for number in range(40):
        busy, seldom = dice.uniform(0.2, 1.0) * days, dice.uniform(0, 30)
        for day in range(days):
            often = 0.9 if day < busy else 0.2 if day < busy + seldom else 0
            if number == 0 or dice.uniform() < often:
                ts_s.append(START_S + day * DAY_S + int(dice.integers(DAY_S)))
                user.append(f"u{number}")
    many = len(ts_s)
    columns: dict[str, Any] = {
        "ts": pa.array(np.array(ts_s) * 1_000_000, pa.timestamp("us", tz="UTC")),
        "seq": pa.array(range(many), pa.int32()),
        "user": pa.array(user),
    }
    if kinds:
        columns["kind"] = pa.array([("join", "message", "quit")[number % 3] for number in range(many)])
    columns = {name: column for name, column in (columns | changes).items() if column is not None}
    pq.write_table(pa.table(columns), path)
    return path


def evaluate(*arguments: Any) -> dict[str, Any]:
    found = CliRunner().invoke(
        app, ["evaluate", "risk", *map(str, arguments), "--json"], catch_exceptions=False
    )
    answer: dict[str, Any] = json.loads(found.stdout)
    return answer


@pytest.mark.parametrize("kinds", [True, False])
def test_the_figures_can_be_had_again_from_the_predictions_and_the_log(tmp_path: Path, kinds: bool) -> None:
    log, out = chat(tmp_path / "chat.parquet", kinds=kinds), tmp_path / "out.parquet"
    figures = evaluate("--data", log, "--predictions", out)

    told = pq.read_table(out).to_pandas()
    events = pq.read_table(log).to_pandas()
    events["ms"] = events.ts.astype("int64") // 1000
    churned = [
        not (
            (events.user == row.user) & (events.ms > row.tau) & (events.ms <= row.tau + 30 * DAY_S * 1000)
        ).any()
        for row in told.itertuples()
    ]
    assert list(told.columns) == ["user", "tau", "probability"]
    assert figures["n"] == len(told)
    assert figures["users"] == told.user.nunique()
    assert figures["auc"] == pytest.approx(roc_auc_score(churned, told.probability))
    assert figures["base_rate"] == pytest.approx(np.mean(churned))
    low, high = figures["ci"]["auc"]
    assert low <= figures["auc"] <= high
    assert figures["auc"] > 0.8, "the shipped model sees who became seldom"


def test_the_hard_task_is_of_fewer_and_the_lead_is_told(tmp_path: Path) -> None:
    log = chat(tmp_path / "chat.parquet")
    broad, hard = (evaluate("--data", log, "--task", task, "--lead-h", 24) for task in ("broad", "hard"))
    assert 0 < hard["n"] < broad["n"]
    assert (hard["task"], hard["lead_h"], hard["cutoffs"], hard["dropped"]) == ("hard", 24, 9, [])


def test_answers_of_your_own_say_who_left(tmp_path: Path) -> None:
    log, out = chat(tmp_path / "chat.parquet"), tmp_path / "out.parquet"
    tau_ms = (START_S + 60 * DAY_S) * 1000
    answers = {
        "user": [f"u{number}" for number in range(40)],
        "tau": pa.array([tau_ms] * 40, pa.timestamp("ms")),
        "left": [number % 4 == 1 for number in range(40)],
    }
    pq.write_table(pa.table(answers), tmp_path / "answers.parquet")
    figures = evaluate("--data", log, "--answers", tmp_path / "answers.parquet", "--predictions", out)
    told = pq.read_table(out)
    assert figures["n"] == figures["users"] == len(told) == 40
    assert (figures["cutoffs"], figures["dropped"], figures["base_rate"]) == (1, [], 0.25)
    assert told["tau"].to_pylist() == [tau_ms] * 40


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"user": None}, r"chat\.parquet has no column event_id, .*whatwg: ts, seq, user, kind"),
        ({"seq": None}, r"chat\.parquet has no column event_id"),
        ({"days": 40}, "the log is too short: it spans 40 days"),
    ],
)
def test_a_wrong_log_is_one_clear_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as found:
        evaluate("--data", chat(tmp_path / "chat.parquet", **changes))
    assert "\n" not in str(found.value)


def test_an_unknown_kind_and_an_empty_file_are_one_clear_line(tmp_path: Path) -> None:
    path = chat(tmp_path / "chat.parquet")
    table = pq.read_table(path)
    pq.write_table(table.set_column(3, "kind", pa.array(["leave"] * len(table))), path)
    with pytest.raises(InputError, match="has 'leave' in row 1, expected one of action, join"):
        evaluate("--data", path)
    (tmp_path / "empty.parquet").touch()
    with pytest.raises(InputError, match=r"empty\.parquet is not a Parquet file"):
        evaluate("--data", tmp_path / "empty.parquet")


def test_a_folder_without_a_model_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no churn model in"):
        evaluate("--data", chat(tmp_path / "chat.parquet"), "--model", tmp_path)
    assert issubclass(UnavailableError, HoldfastError)
