"""The 15 figures by which holdfast is judged: what each means, where it comes from, and how sure it is."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct

from inference.intervals import bootstrap
from schemas.vocabulary import TIERS, Cause, Tier
from streams.batch import Batch
from streams.effects import Effects, Figure

DAY_MS = 86_400_000
GONE_DAYS = 30
"""Who has no event for so long has left; the protocol of the churn model counts the same."""


class Metric(Struct, frozen=True):
    """A row of the matrix: `name`, `unit`, what it is, and the source of its formula."""

    name: str
    unit: str
    definition: str
    source: str


_AGAINST = "users written to less users held out"
METRICS = (
    Metric("auc", "", "area under the ROC curve of the churn probability 72 h ahead", "Fawcett 2006"),
    Metric("pr_auc", "", "average precision of the same; beside it the base rate", "Davis & Goadrich 2006"),
    Metric("accuracy", "share", "told right at 0.5; beside it the majority's share", "Fawcett 2006"),
    Metric("brier", "", "mean squared error of the probability; beside it ECE", "Brier 1950, Guo 2017"),
    Metric("lead_time", "days", "median from a leaver's decline until the loss is certain", "semantics.md"),
    Metric("response_rate", "share", "scripts clicked, replied to or followed by a conversion", "outcomes"),
    Metric("response_lift", "share", "the same, the model's scripts less the templates", "outcomes"),
    Metric("guard_pass_rate", "share", "the model's scripts that may be sent, held-out profiles", "its card"),
    Metric("nps_change", "points", f"net promoter score, {_AGAINST}", "Reichheld 2003"),
    Metric("cost_per_saved", "currency", "cost of all scripts by users who stayed for them", "outcomes"),
    Metric("churn_change", "share", f"users who left, {_AGAINST}", "outcomes"),
    Metric("conversion_lift", "share", f"users who converted, {_AGAINST}", "outcomes"),
    Metric("complaint_rate", "share", "scripts followed by a complaint or an unsubscription", "outcomes"),
    Metric("latency_p99", "ms", "detection to the broker's append time, 99th percentile", "decisions"),
    Metric(
        "draft_hit_rate", "share", "declines sent whose script was written ahead for the user", "decisions"
    ),
    Metric("ltv_effect", "currency", f"what conversions brought per decision, {_AGAINST}", "outcomes"),
)
"""The response rate has two rows: the rate, and its lift."""


def matrix(
    effects: Effects,
    risk: Mapping[str, Any],
    script: Mapping[str, Any],
    lead: Figure,
    cost_per_script: float | None,
) -> list[tuple[Metric, Figure]]:
    """Each metric with its figure.

    `risk` holds the figures of the churn model (`value`, `ci`) by name, and their `n`; `script` those of
    the language model; `lead` is what `lead_time` gave.
    """
    of: dict[str, Callable[[], Figure]] = {
        "auc": lambda: _judged(risk, "auc"),
        "pr_auc": lambda: _judged(risk, "pr_auc", "base_rate"),
        "accuracy": lambda: _judged(risk, "accuracy", "majority"),
        "brier": lambda: _judged(risk, "brier", "ece"),
        "lead_time": lambda: lead,
        "response_rate": effects.response_rate,
        "response_lift": effects.response_lift,
        "guard_pass_rate": lambda: _guarded(script),
        "nps_change": effects.nps_change,
        "cost_per_saved": lambda: effects.cost_per_saved(cost_per_script),
        "churn_change": effects.churn_change,
        "conversion_lift": effects.conversion_lift,
        "complaint_rate": effects.complaint_rate,
        "latency_p99": effects.latency_p99_ms,
        "draft_hit_rate": effects.draft_hit_rate,
        "ltv_effect": effects.ltv_effect,
    }
    return [(metric, of[metric.name]()) for metric in METRICS]


def lead_time(batch: Batch, last_event_ms: Mapping[str, int]) -> Figure:
    """How long before their loss was certain those who left were seen to decline, days, the median.

    Certain it is 30 days after the last event (`last_event_ms`, epoch ms, by `tenant/user_id`), where the log
    goes on for so long. A user's decline is the first to `high` or lower that no rise followed.
    """
    certain = {
        user: ts + GONE_DAYS * DAY_MS
        for user, ts in last_event_ms.items()
        if ts + GONE_DAYS * DAY_MS <= batch.until_ms
    }
    seen: dict[str, int] = {}
    for decision in batch.decisions:
        user = f"{decision.tenant}/{decision.user_id}"
        if decision.cause is Cause.RISE:
            seen.pop(user, None)
        elif decision.to_tier.rank >= TIERS.index(Tier.HIGH):
            seen.setdefault(user, decision.at)
    days = np.array(
        [
            (ts - seen[user]) / DAY_MS
            for user, ts in sorted(certain.items())
            if user in seen and seen[user] <= ts
        ]
    )
    if not len(days):
        return Figure(missing="nobody in the log left after a decline")
    order = np.sort(days)
    return Figure(
        value=float(np.median(days)),
        ci=bootstrap(
            lambda weights: float(np.median(np.repeat(order, weights.astype(int)))), np.arange(len(days))
        ),
        n=len(days),
        remark=f"of {len(certain):,} who left; the others left while onboarding, or too fast",
    )


def _judged(risk: Mapping[str, Any], name: str, beside: str | None = None) -> Figure:
    if name not in risk:
        return Figure(missing="the version's metrics do not have it")
    found = risk[name]
    low, high = found["ci"]
    return Figure(
        value=found["value"],
        ci=(low, high),
        n=risk.get("n", 0),
        remark="" if beside is None else f"{beside} {risk[beside]['value']:.3f}",
    )


def _guarded(script: Mapping[str, Any]) -> Figure:
    shares = script["sampled"]["sendable"]
    many = int(script["sampled"]["scripts"])
    share = float(np.mean(list(shares.values())))
    passed = np.arange(many) < round(share * many)
    return Figure(
        value=share,
        ci=bootstrap(lambda weights: float(np.average(passed, weights=weights)), np.arange(many)),
        n=many,
        remark=", ".join(f"{locale} {value:.1%}" for locale, value in shares.items()),
    )
