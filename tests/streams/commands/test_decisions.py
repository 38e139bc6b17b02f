"""A decision on one line says what was crossed, and at a risk why."""

from schemas.decision import Decision
from schemas.risk import Assessment, Effect
from schemas.vocabulary import Cause, HeldBy, Locale, Tier, Trigger
from streams.commands.decisions import _is_of, line
from tests import records


def decision(cause: Cause, from_tier: Tier, risk: Assessment | None = None) -> Decision:
    return records.decision(
        user_id="u[1]", cause=cause, from_tier=from_tier, held_by=HeldBy.CONSENT, risk=risk
    )


def test_a_decline_goes_from_tier_to_tier() -> None:
    text = line(decision(Cause.DECLINE, Tier.LOW))
    assert text.startswith(r"2023-11-14 22:13:20  acme/u\[1]  decline  ")
    assert "low → high" in text and "28.6 %" in text and "held, consent" in text


def test_a_risk_has_its_probability_and_reasons() -> None:
    risk = Assessment(
        trigger=Trigger.SUPPORT,
        probability=0.634,
        reasons=(Effect(signal="quiet", value=12.3456, effect=1.25),),
        words={Locale.EN: ("Last active 12 days ago", "Logged out"), Locale.ZH: ("最近一次活跃在12天前",)},
        model="risk",
        model_version="3",
        assessed_ms=1.0,
    )
    text = line(decision(Cause.RISK, Tier.HIGH, risk))
    assert "high, risk 0.63" in text and "→" not in text
    assert "support: Last active 12 days ago, Logged out" in text


def test_filters_go_by_the_key() -> None:
    assert _is_of(b"acme/u1", None, None) and _is_of(b"acme/u1", "acme/u1", "acme")
    assert not _is_of(b"acme/u1", "acme/u2", None) and not _is_of(b"acme2/u1", None, "acme")
    assert not _is_of(None, None, "acme")
