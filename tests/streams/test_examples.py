"""The shelf of examples: the last version of a tenant holds, and none is lost."""

import msgspec
import pytest

from schemas.codec import encode
from schemas.examples import Example, Examples, version_of
from schemas.vocabulary import Locale, Reason, Tier
from streams.consumer import Record
from streams.examples import Shelf

ONE = Example(
    tier=Tier.HIGH,
    reason=Reason.LOGIN_DROP,
    strategy=Tier.HIGH.strategy,
    locale=Locale.EN,
    template="Hi {{name}}.",
    users=50,
    answered=20,
    low=0.27,
    others=0.1,
)
A, B = Examples(tenant="acme", version="a", examples=(ONE,)), Examples(tenant="acme", version="b")
THEIRS = Examples(tenant="globex", version="a")


def record(one: Examples, offset: int = 0) -> Record:
    return Record(partition=0, offset=offset, append_ms=0, key=one.key.encode(), value=encode(one))


def test_a_tenant_s_last_version_holds_and_the_others_are_still_known() -> None:
    shelf = Shelf()
    shelf.take([record(A), record(B), record(THEIRS)])
    assert (shelf.of("acme"), shelf.of("globex"), shelf.of("nobody")) == (B, THEIRS, None)
    assert shelf.version("acme", "a") == A and shelf.version("nobody", "a") is None
    shelf.take([record(A)])
    assert shelf.of("acme") == A and shelf.versions("acme") == [B, A]
    assert shelf.newest == "acme/a, globex/a"


def test_who_reads_the_shelf_while_it_is_read_again_from_the_beginning_sees_no_older_version() -> None:
    shelf = Shelf()
    shelf.take([record(A), record(B)])
    seen = []

    def again() -> object:
        for one in (A, B):
            yield record(one)
            seen.append(shelf.of("acme"))

    shelf.take(again())  # type: ignore[arg-type]  # a generator of the test's own
    assert seen == [B, B] and shelf.of("acme") == B


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"acme/a", b"?"),
        (b"acme/a", None),
        (b"acme/x", encode(A)),
        (b"globex/a", encode(A)),
        (b"acme/a", encode({"tenant": "acme", "version": "a b"})),
    ],
    ids=["no JSON", "a deletion", "another version's key", "another tenant's key", "no name"],
)
def test_a_bad_record_is_logged_and_changes_nothing(
    key: bytes, value: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Shelf()
    shelf.take([record(A), Record(partition=0, offset=7, append_ms=0, key=key, value=value)])
    assert shelf.of("acme") == A and shelf.of("globex") is None
    assert "offset 7" in caplog.text and "passed over" in caplog.text


def test_a_version_is_named_by_what_a_prompt_shows_of_it_and_by_nothing_else() -> None:
    name = version_of((ONE,), simulated=False)
    assert version_of((msgspec.structs.replace(ONE, users=51, low=0.3),), simulated=False) == name
    for change in ({"template": "Hi."}, {"tier": Tier.LOW}, {"locale": Locale.ZH}):
        assert version_of((msgspec.structs.replace(ONE, **change),), simulated=False) != name
    assert version_of((ONE,), simulated=True) == f"simulated-{name}"
