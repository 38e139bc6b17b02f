"""Nobody's words reach another tenant's user: neither templates, nor offers, nor a script for many."""

import asyncio

import msgspec
import pytest

from inference.client import Generation
from schemas.decision import Decision
from schemas.errors import UnavailableError
from schemas.events import Account
from schemas.policy import RuleBook
from schemas.profile import Profile
from schemas.tenant import Offer, Tenant
from schemas.vocabulary import Locale, Rung, Strategy
from streams.agents.author import Author
from streams.agents.composer import Composer
from streams.agents.prompter import Prompter
from streams.agents.segments import Segments
from streams.flow import lifecycle
from streams.tenants import Tenants
from tests.records import crossing
from tests.streams.agents.fakes import NOW, Clock, Model, Store

OWN = "Hello from the bank{{#name}}, {{name}}{{/name}}: please have a look at {{product}}."
BANK = Tenant(
    product="Bank One",
    link="https://bank.example/in",
    only_templates=True,
    templates={Locale.EN: {strategy: {"default": OWN} for strategy in Strategy}},
)
SHOP = Tenant(
    product="Shop Two",
    offers=(Offer(id="half", strategy=Strategy.RETENTION_OFFER, text={Locale.EN: "half the price in May"}),),
    brief={Strategy.RETENTION_OFFER: {Locale.EN: "Win back a shop owner before the season."}},
)
TENANTS = Tenants({"bank": BANK, "shop": SHOP, "mill": Tenant(product="Mill Three")})


class Writer(Model):
    """Writes for each tenant what only its own users may read, from nothing but the name of the tenant."""

    async def generate(self, prompt: str, deadline_ms: float, user: str = "", *, seed: int = 0) -> Generation:
        self.asked.append((prompt, deadline_ms))
        if self.text == "":
            raise UnavailableError("no Triton")
        text = f"A word of {user.partition('/')[0]} for you: we are here to help if {{{{product}}}} does not."
        return Generation(text=text, model="holdfast-nano", model_version=self.version_for(user))


class Bench:
    """A composer of several tenants."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.model = Writer(self.clock)
        self.segments = Segments(self.model, Prompter(), self.clock)
        self.composer = Composer(
            author=Author(Store(self.clock), TENANTS),
            model=self.model,
            segments=self.segments,
            prompter=Prompter(),
            budget_ms=50,
            publish_margin_ms=10,
            clock=self.clock,
        )

    async def compose(self, tenant: str, number: int = 0) -> Decision:
        return await self.composer.compose(
            crossing(
                id=f"{tenant}{number}",
                tenant=tenant,
                account=Account(event_id="a1", tenant=tenant, user_id="u1", ts=1, name="Ann", plan="pro"),
                detected_ms=self.clock.now_ms,
            )
        )

    async def write_segments(self) -> None:
        writing = asyncio.create_task(self.segments.write_for_ever())
        for _ in range(20):
            await asyncio.sleep(0)
        writing.cancel()


def text_of(decision: Decision) -> str:
    assert decision.script is not None
    return decision.script.text


async def test_a_script_for_many_is_for_many_of_one_tenant_only() -> None:
    bench = Bench()
    bench.model.text = ""  # the live rung has nothing, so that segments are wanted
    for tenant in ("shop", "mill"):
        await bench.compose(tenant)
    bench.model.text = "there"
    await bench.write_segments()
    bench.model.text = ""
    for tenant, other in (("shop", "mill"), ("mill", "shop")):
        decision = await bench.compose(tenant, 1)
        assert decision.script is not None and decision.script.rung is Rung.SEGMENT
        assert f"A word of {tenant}" in text_of(decision) and other not in text_of(decision)


async def test_a_new_version_has_the_segments_of_its_own_tenant_written_alone() -> None:
    bench = Bench()
    bench.model.text = ""
    await bench.compose("shop")
    bench.model.text = "there"
    await bench.write_segments()
    bench.model.asked.clear()
    bench.model.version = "4"
    bench.model.text = ""
    await bench.compose("mill")
    bench.model.text = "there"
    await bench.write_segments()
    assert not any("Win back a shop owner" in prompt for prompt, _ in bench.model.asked)


async def test_a_template_an_offer_and_a_brief_are_their_tenant_s_own() -> None:
    bench = Bench()
    bench.model.text = ""
    bank, shop, mill = [await bench.compose(tenant) for tenant in ("bank", "shop", "mill")]
    assert text_of(bank) == "Hello from the bank, Ann: please have a look at Bank One."
    assert "half the price in May" in text_of(shop)
    assert not {"bank", "half", "Shop"} & set(text_of(mill).replace(".", "").split())
    assert "the bank" not in text_of(shop) and "half" not in text_of(bank)
    assert bank.script is not None and shop.script is not None
    assert bank.script.model_version == f"bank-{BANK.templates_version}"
    assert shop.script.model_version == "1"
    briefed = [prompt for prompt, _ in bench.model.asked if "Win back a shop owner" in prompt]
    assert len(briefed) == 1, "the model is told a brief for its own tenant's user only"


async def test_who_wants_only_templates_is_written_to_by_no_model() -> None:
    bench = Bench()
    bench.model.text = "there"
    decision = await bench.compose("bank")
    assert decision.script is not None and decision.script.rung is Rung.TEMPLATE
    assert decision.fallbacks[Rung.LIVE] == "only the template may be sent here"
    await bench.write_segments()
    assert bench.model.asked == []
    assert lifecycle("bank/u1", TENANTS, RuleBook(), 300_000).lead_ms == 0, "nor is a draft asked for"
    assert lifecycle("shop/u1", TENANTS, RuleBook(), 300_000).lead_ms == 300_000


def test_another_text_is_another_version() -> None:
    changed = msgspec.structs.replace(
        BANK, templates={Locale.EN: {Strategy.RETENTION_OFFER: {"default": OWN}}}
    )
    assert changed.templates_version != BANK.templates_version


@pytest.mark.parametrize("kept", [2, 3])
async def test_a_tenant_with_many_segments_takes_no_room_of_others(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.agents.segments._KEPT", kept)
    bench = Bench()
    author = Author(Store(bench.clock), TENANTS)
    bench.model.text = "there"

    def profile(tenant: str, plan: str) -> Profile:
        one = crossing(
            tenant=tenant,
            at=int(NOW),
            account=Account(event_id="a", tenant=tenant, user_id="u1", ts=1, plan=plan),
        )
        return author.profile(one, Store(bench.clock).found)

    quiet = profile("mill", "pro")
    bench.segments.want(quiet, "mill/u1")
    for number in range(10):
        bench.segments.want(profile("shop", f"p{number}"), "shop/u1")
    for _ in range(3):
        await bench.write_segments()
    assert bench.segments.of(quiet, "mill/u1") is not None
