"""What Flink's REST port says of the rules, put together of all instances."""

import time
from typing import Any

import pytest

from streams.flink import rest
from streams.flink.rest import KnownRules, Rest


class Flink:
    """A job of one vertex, whose instances say these values of each metric."""

    def __init__(self, **metrics: tuple[int, ...]) -> None:
        self.metrics = {f"lives.{name}": values for name, values in metrics.items()}

    def get(self, path: str, wanted: object = None) -> Any:
        path, _, query = path.partition("?")
        if path == "/jobs/overview":
            return {"jobs": [{"jid": "j", "start-time": 1}]}
        if path == "/jobs/j":
            return {"vertices": [{"id": "v"}]}
        if not query:
            return [{"id": name} for name in self.metrics]
        names, _, aggregate = query.removeprefix("get=").partition("&agg=")
        of = {"min": min, "max": max}[aggregate]
        return [{"id": name, aggregate: str(of(self.metrics[name]))} for name in names.split(",")]


def known(monkeypatch: pytest.MonkeyPatch, **metrics: tuple[int, ...]) -> KnownRules | None:
    monkeypatch.setattr(rest, "_FETCH_S", 0)
    flink = Rest(0)
    monkeypatch.setattr(flink, "_get", Flink(**metrics).get)
    return flink.rules()


def test_the_instance_that_is_furthest_behind_speaks_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ms = int(time.time() * 1000)
    found = known(monkeypatch, rulesHeardMs=(now_ms, now_ms - 60_000), rulesVersions=(3, 2))
    assert found is not None and found.versions == 2 and 59 < found.silent_s < 70


def test_an_instance_without_a_record_yet_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = known(monkeypatch, rulesHeardMs=(int(time.time() * 1000) - 40_000, 0), rulesVersions=(3, 0))
    assert found is not None and found.versions == 3 and 39 < found.silent_s < 50
    assert known(monkeypatch, rulesHeardMs=(0, 0), rulesVersions=(0, 0)) is None
    assert known(monkeypatch) is None
