"""The main job serves where it runs and is certain of the rules."""

import pytest

from streams.embedded import ours
from streams.flink.rest import KnownRules, Rest
from streams.following import SILENT_S
from streams.settings import Settings

RUNNING = b'{"jobs": [{"state": "RUNNING", "tasks": {"running": 3, "total": 3}}]}'


@pytest.mark.parametrize(
    ("known", "problem"),
    [
        (None, None),
        (KnownRules(versions=2, silent_s=SILENT_S - 1), None),
        (
            KnownRules(versions=2, silent_s=45.4),
            "nothing was heard of the rules for 45 s: it decides by those of before",
        ),
    ],
)
def test_a_job_that_hears_nothing_of_the_rules_is_not_healthy(
    monkeypatch: pytest.MonkeyPatch, known: KnownRules | None, problem: str | None
) -> None:
    monkeypatch.setattr(ours, "_get", lambda url: (RUNNING, None))
    monkeypatch.setattr(Rest, "rules", lambda rest: known)
    (flink,) = [component for component in ours.OURS if component.name == "flink"]
    assert flink.check(Settings()) == problem
