"""A fintech and an e-commerce SaaS beside each other, from events to texts, with the example files."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from operators.window import PANE_MS
from schemas.codec import encode
from schemas.decision import Crossing, Decision
from schemas.events import Account, Login
from schemas.policy import Policy, RuleBook, Rules
from schemas.vocabulary import HeldBy, Locale, Outcome, Reason, Rung, Strategy
from streams.agents.author import Author
from streams.agents.composer import Composer
from streams.agents.prompter import Prompter
from streams.agents.segments import Segments
from streams.memory import Memory
from streams.rulefile import load_rules
from streams.tenants import load_tenants
from tests.streams.agents.fakes import NOW, Clock, Model, Store

FOLDER = Path("docs/examples/tenants")
TENANTS = load_tenants(FOLDER / "tenants.yaml")
(RULES,) = load_rules(FOLDER / "rules.yaml")
LINES = ("ledgerline", "stallway")
NAMES = {"en": "Ann Lee", "zh-CN": "王芳"}
BEGIN_MS = int(NOW) // PANE_MS * PANE_MS


def decided() -> dict[str, list[Decision]]:
    """Two users of each tenant keep a habit for six weeks, then stop; a model is there."""
    engine = Memory(TENANTS, book=RuleBook([RULES]), now_ms=BEGIN_MS, lead_ms=300_000)
    users = [(tenant, locale) for tenant in LINES for locale in NAMES]
    for tenant, locale in users:
        account = Account(
            event_id="a", tenant=tenant, user_id=locale, ts=BEGIN_MS, name=NAMES[locale], locale=locale,
            time_zone="Asia/Shanghai", plan="pro",
        )  # fmt: skip
        engine.send("events.account", account.key.encode(), encode(account))
    for hour in range(0, 42 * 24, 8):
        engine.now_ms = BEGIN_MS + hour * PANE_MS
        for tenant, locale in users:
            login = Login(event_id=f"e{hour}", tenant=tenant, user_id=locale, ts=engine.now_ms)
            engine.send("events.login", login.key.encode(), encode(login))
        engine.tick(engine.now_ms)
    for hour in range(42 * 24, 52 * 24):
        engine.now_ms = BEGIN_MS + hour * PANE_MS
        engine.tick(engine.now_ms)
    clock = Clock()
    clock.now_ms = float(engine.now_ms)
    model = Model(clock, "Hi{{#name}} {{name}}{{/name}}, how is your shop on {{product}}? Just reply.")
    composer = Composer(
        author=Author(Store(clock), TENANTS), model=model, segments=Segments(model, Prompter(), clock),
        prompter=Prompter(), budget_ms=50, publish_margin_ms=10, clock=clock,
    )  # fmt: skip
    decisions = [msgspec.json.decode(one.value, type=Decision) for one in engine.published("decisions")]
    for record in engine.published("crossings"):
        crossing = msgspec.json.decode(record.value, type=Crossing)
        crossing = msgspec.structs.replace(crossing, detected_ms=clock.now_ms)
        decisions.append(asyncio.run(composer.compose(crossing)))
    return {tenant: [one for one in decisions if one.tenant == tenant] for tenant in LINES}


def test_each_line_is_written_to_in_its_own_words_and_under_its_own_rules() -> None:
    found = decided()
    assert all(found.values())
    for one in found["ledgerline"]:
        assert one.outcome is Outcome.HELD, "the fintech only looks on at first"
        if one.script is not None:
            assert one.held_by is HeldBy.DRY_RUN
            assert one.script.rung is Rung.TEMPLATE, "no model writes its reminders"
            assert "Ledgerline" in one.script.text and "Stallway" not in one.script.text
            assert one.script.model_version.startswith("ledgerline-")
    assert any(one.script for one in found["ledgerline"])
    sent = [one for one in found["stallway"] if one.script is not None]
    assert sent and all("Ledgerline" not in one.script.text for one in sent if one.script is not None)
    assert {one.ruling.version for line in found.values() for one in line if one.ruling} == {RULES.version}


@pytest.mark.parametrize("tenant", LINES)
@pytest.mark.parametrize("locale", Locale)
def test_a_fintech_makes_no_offer_and_a_shop_names_those_that_its_experiment_chooses(
    tenant: str, locale: Locale
) -> None:
    profile, policy = TENANTS.of(tenant), RULES.of(tenant)
    chosen = {arm.treatment.offer for one in policy.experiments for arm in one.arms} - {"", None}
    assert all(profile.offer(Strategy.RETENTION_OFFER, locale, offer) for offer in chosen)
    if tenant == "ledgerline":
        texts = [profile.template(locale, strategy, reason) for strategy in Strategy for reason in Reason]
        assert all(text and "offer" not in text for text in texts) and not profile.offers


def test_what_a_tenant_may_never_do_is_pass_consent() -> None:
    with pytest.raises(ValueError, match="only frequency_cap"):
        Rules(version="v", default=Policy(passes={"critical": (HeldBy.CONSENT,)}))  # type: ignore[dict-item]  # as a file says it
