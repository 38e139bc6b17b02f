"""The drafter as `holdfast up` starts it, with the small model behind a real Triton."""

import shutil
import time
from collections.abc import Iterator

import msgspec
import pytest
from kafka import KafkaProducer

from inference.registry import promoted
from inference.room import FILE
from inference.tritonserver import MODEL, MODEL_REPOSITORY
from schemas.codec import encode
from schemas.decision import Draft, DraftRequest, Shown
from schemas.events import Account
from schemas.examples import Examples
from schemas.topics import DRAFT_REQUESTS, DRAFTS
from schemas.vocabulary import Locale, Reason
from streams.consumer import reading
from streams.embedded import Stack
from streams.examples import publish_examples, read_examples
from streams.settings import Settings
from tests.records import crossing
from tests.streams.test_examples import ONE

pytestmark = pytest.mark.real
_WAIT_S = 120.0


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    repository = tmp_path_factory.mktemp("models") / "repository"
    shutil.copytree(MODEL_REPOSITORY, repository)
    (promoted(MODEL, repository) / FILE).write_text('{"example_tokens": 60}')
    stack = Stack(Settings(work_dir=tmp_path_factory.mktemp("drafter"), model_repository=repository))
    try:
        yield stack.up(only=("broker", "redis", "triton", "drafter")).bootstrap_servers
    finally:
        stack.down(wipe=True)


def request(user: str, locale: str, in_ms: int) -> DraftRequest:
    now_ms = int(time.time() * 1000)
    asked = crossing(
        id=f"c-{user}",
        user_id=user,
        at=now_ms + in_ms,
        recent=0,
        account=Account(event_id="a1", tenant="acme", user_id=user, ts=1, name="Ann", locale=locale),
    )
    return DraftRequest(crossing=asked, asked_at=now_ms)


def test_each_request_in_time_is_answered_by_the_model(servers: str) -> None:
    asked = {f"u{n}": request(f"u{n}", "zh-CN" if n % 2 else "en", 600_000) for n in range(12)}
    passed = request("passed", "en", -10_000)  # and detected since: until then a segment's may stand in
    producer = KafkaProducer(bootstrap_servers=servers)
    for one in (passed, *asked.values()):
        producer.send(DRAFT_REQUESTS.name, key=f"acme/{one.crossing.user_id}".encode(), value=encode(one))
    producer.close()

    found: dict[str, Draft] = {}
    until_s = time.monotonic() + _WAIT_S
    with reading(servers, DRAFTS) as reader:
        while len(found) < len(asked) - 2 and time.monotonic() < until_s:
            for record in reader.poll():
                draft = msgspec.json.decode(record.value or b"", type=Draft)
                assert record.key == draft.key.encode()
                found[draft.user_id] = draft
    # The guard may refuse a script three times in turn, though seldom.
    assert len(found) >= len(asked) - 2
    assert passed.crossing.user_id not in found
    for user, draft in found.items():
        one = asked[user]
        assert (draft.id, draft.at, draft.asked_at) == (one.crossing.id, one.crossing.at, one.asked_at)
        assert draft.model == "holdfast-nano" and "{{" not in draft.text
        han = any("\u4e00" <= character <= "\u9fff" for character in draft.text)
        assert han == (draft.locale is Locale.ZH)


def test_a_version_with_room_is_shown_the_examples_that_hold_and_drafts_say_so(servers: str) -> None:
    good = msgspec.structs.replace(
        ONE, reason=Reason.INACTIVE, template="{{name}}, {{product}} is here for you."
    )
    long = msgspec.structs.replace(good, template=good.template * 20)
    examples = Examples(tenant="acme", version="v1", examples=(long, good))
    publish_examples(servers, examples)
    assert read_examples(servers).of("acme") == examples
    producer = KafkaProducer(bootstrap_servers=servers)
    shown: list[Shown | None] = []
    until_s = time.monotonic() + _WAIT_S
    with reading(servers, DRAFTS, from_beginning=False) as reader:
        while not any(shown) and time.monotonic() < until_s:
            user = f"shown{time.monotonic_ns()}"
            one = encode(request(user, "en", 600_000))
            producer.send(DRAFT_REQUESTS.name, key=f"acme/{user}".encode(), value=one)
            for record in reader.poll(1_000):
                draft = msgspec.json.decode(record.value or b"", type=Draft)
                assert draft.told is not None and draft.template and draft.told.prompt
                shown.append(draft.told.examples)
    producer.close()
    assert shown[-1] == Shown(version="v1", places=(1,)), "the first is too long, and is left out whole"
