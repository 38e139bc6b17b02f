"""The example tenants' run, in memory: each line's decisions, texts and trail."""

import pytest

from benchmarks.simulation.engines import InMemory
from benchmarks.tenants import FOLDER, lived, of_tenant, trail
from streams import audit
from streams.rulefile import load_rules
from streams.tenants import load_tenants


def test_the_fintech_only_looks_on_and_the_shop_writes() -> None:
    (rules,) = load_rules(FOLDER / "rules.yaml")
    events, decisions = lived(InMemory(load_tenants(FOLDER / "tenants.yaml")), rules, users=4)
    assert events == 2 * 4 * (42 * 6 + 1)
    empty = trail(
        list(audit.lines([audit.Head(tenant="ledgerline", since=0, rules=()), audit.End(decisions=0)]))
    )
    fintech, shop = (of_tenant(name, decisions, empty) for name in ("ledgerline", "stallway"))
    assert set(fintech.outcomes) == {"held"} and fintech.held_by["dry_run"] > 0
    assert set(fintech.rungs) == {"template"} and all("Ledgerline" in text for text in fintech.texts)
    assert shop.outcomes["sent"] > 0 and all("Stallway" in text for text in shop.texts)
    assert len(fintech.texts) == len(shop.texts) == 2


def test_a_trail_that_is_not_whole_is_refused() -> None:
    with pytest.raises(Exception, match="line 1"):
        trail([b"{}"])
