"""The churn model's card: what it is, how it was made, and how well it does, as measured."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CARD, METRICS = "MODEL_CARD.md", "metrics.json"
_FIGURES = ("auc", "pr_auc", "base_rate", "accuracy", "majority", "balanced_accuracy", "brier", "ece")
_TEXT = """# holdfast-risk

{trees} gradient-boosted trees (LightGBM) over {signals} signals of a user's last 30 days and, with
{share:.0%} of the say, logistic regression on their logarithms: the probability that the user {question}.

## What it is for
The risk crossing of holdfast, and the order in which a team looks at its customers. It says who is likely to
leave, and by which signals it says so; not why they leave, nor what would keep them.

## Data
{rows:,} rows of {users:,} users at cut-offs from {since} to {until}; SHA-256 of the columns
`{fingerprint}`. The logs are of public chat rooms: the users are developers who come and go, not customers
who pay. No text is in them.

Signals of errors, of customer service, of durations and of the account are constant in these logs, so that
the model gives them no weight: whoever has a log with them trains a version on it, by the same command.

## Held-out figures
Users that were not seen, at later times and weekly cut-offs, by models of their log's other users and of all
other logs: `holdfast train risk` says how. 95 % intervals, users drawn.

{tables}

Accuracy is at a probability of 0.5, and beside it that of telling everyone the more frequent answer;
balanced accuracy is at {balanced}, which part the two best on users held out of the training.

## Calibration
Platt's, on users held out: probability = 1 / (1 + exp(-({slope:.3f} × log-odds + {intercept:.3f}))).

## In one picture
`surrogate.txt` is a decision tree of depth 4 that was fitted to the model. On users that it was not fitted
to, it makes {equal:.1%} of the decisions at 0.5 alike, and R² of the probabilities is {r2:.2f}.

## Known limits
- It sees 30 days. Who comes once a month looks to it like one who left.
- A hole in the log looks like everyone's absence. Figures leave such times out; a live stream cannot.
- On a log of another kind its order of the users carries over further than its probabilities do: calibrate
  or train on your own log before a threshold decides on money.
"""


def write(folder: Path, metrics: dict[str, Any], calibration: Any, trees: int, question: str) -> None:
    """Writes `MODEL_CARD.md` and `metrics.json` to `folder`; `question` is what the model says of a user."""
    (folder / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    data = metrics["data"]
    text = _TEXT.format(
        trees=trees,
        signals=len(calibration.names),
        share=calibration.linear.share,
        question=question,
        rows=data["rows"],
        users=data["users"],
        fingerprint=data["fingerprint"],
        since=_day(data["from_ms"]),
        until=_day(data["until_ms"]),
        tables="\n\n".join(_table(name, tasks) for name, tasks in metrics["held_out"].items()),
        balanced=" and ".join(
            f"{value:.2f} ({task})" for task, value in calibration.balanced_threshold.items()
        ),
        slope=calibration.slope,
        intercept=calibration.intercept,
        equal=metrics["surrogate"]["equal_decisions"],
        r2=metrics["surrogate"]["r2"],
    )
    (folder / CARD).write_text(text, encoding="utf-8")


def _table(name: str, tasks: dict[str, Any]) -> str:
    heads = (f"{task}, {found['n']:,} rows" for task, found in tasks.items())
    rows = [f"| {name} | {' | '.join(heads)} |"]
    rows.append("| --- " * (len(tasks) + 1) + "|")
    for figure in _FIGURES:
        cells = (_cell(found[figure]) for found in tasks.values())
        rows.append(f"| {figure.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(found: dict[str, Any]) -> str:
    low, high = found["ci"]
    return f"{found['value']:.3f} [{low:.3f}, {high:.3f}]"


def _day(ts_ms: int) -> str:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).date().isoformat()
