"""The relay of docs/consuming.md signs, delivers, tries again and gives up."""

import base64
import hashlib
import hmac
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "consuming"
SECRET = b"a secret"


@pytest.fixture(scope="module")
def relay() -> ModuleType:
    spec = importlib.util.spec_from_file_location("webhook_example", FOLDER / "webhook.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Hook:
    """Answers with each status in turn, the last one for ever; None is nobody there."""

    def __init__(self, *answers: int | None) -> None:
        self.answers = list(answers)
        self.headers: list[dict[str, str]] = []
        self.slept_s: list[float] = []

    def __call__(self, body: bytes, headers: dict[str, str]) -> int:
        self.headers.append(headers)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise ConnectionRefusedError("nobody there")
        return answer

    def deliver(self, relay: ModuleType) -> str:
        return str(relay.deliver("d1", b"{}", SECRET, self, self.slept_s.append, lambda: 1.0))


def test_what_arrives_is_signed_and_carries_the_decision_s_id(relay: ModuleType) -> None:
    hook = Hook(204)
    assert hook.deliver(relay) == "" and hook.slept_s == []
    (headers,) = hook.headers
    assert headers["webhook-id"] == "d1"
    signed = f"d1.{headers['webhook-timestamp']}.{{}}".encode()
    expected = base64.b64encode(hmac.digest(SECRET, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_what_fails_for_now_is_tried_again_under_the_same_id_with_longer_pauses(relay: ModuleType) -> None:
    hook = Hook(503, None, 429, 200)
    assert hook.deliver(relay) == ""
    assert [headers["webhook-id"] for headers in hook.headers] == ["d1"] * 4
    assert hook.slept_s == [1.0, 2.0, 4.0]


def test_what_cannot_succeed_is_not_tried_again(relay: ModuleType) -> None:
    hook = Hook(400)
    assert hook.deliver(relay) == "HTTP 400" and len(hook.headers) == 1


def test_it_gives_up_before_kafka_gives_up_the_consumer(relay: ModuleType) -> None:
    hook = Hook(None)
    assert hook.deliver(relay) == f"nobody there, {relay.TRIES} times"
    assert sum(hook.slept_s) + relay.TRIES * relay.TIMEOUT_S < 300


def test_each_example_of_the_page_is_there() -> None:
    page = (FOLDER.parents[1] / "consuming.md").read_text(encoding="utf-8")
    assert [path.name for path in FOLDER.glob("*.py") if f"examples/consuming/{path.name}" not in page] == []
