"""An audit trail tells if a line of it was altered, removed, put in or moved, and names the first."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from schemas.codec import encode
from schemas.errors import InputError
from schemas.policy import Cap, Policy, RuleBook, Rules
from schemas.vocabulary import Locale, Rung
from streams.audit import Decided, check, entries, lines
from streams.cli import app
from streams.consumer import Record
from tests.records import decision, script

BOOK = RuleBook(
    [
        Rules(
            version="v1",
            since=5,
            tenants={"bank": Policy(caps=(Cap(scripts=1),)), "shop": Policy(suppressed=frozenset({"s1"}))},
        )
    ]
)


def record(number: int, tenant: str = "bank", id: str | None = None, partition: int = 0) -> Record:
    made = decision(
        id=id or f"d{number}",
        tenant=tenant,
        at=number * 1000,
        script=script(text=f"您好 {number}", locale=Locale.ZH, rung=Rung.TEMPLATE),
    )
    return Record(
        partition=partition,
        offset=number,
        append_ms=number * 1000 + 7,
        key=f"{tenant}/u1".encode(),
        value=encode(made),
    )


RECORDS = [record(3, partition=1), record(1), record(2, tenant="shop"), record(2), record(4, id="d1")]


def trail(since_ms: int = 0) -> list[bytes]:
    return list(lines(entries(RECORDS, "bank", since_ms, BOOK)))


def checked(found: list[bytes], folder: Path) -> object:
    path = folder / "t.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in found))
    return check(path)


def test_a_trail_has_the_tenant_s_decisions_byte_for_byte_in_the_order_of_publication(tmp_path: Path) -> None:
    found = [one for one in entries(RECORDS, "bank", 0, BOOK) if isinstance(one, Decided)]
    assert [bytes(one.decision) for one in found] == [RECORDS[i].value for i in (1, 3, 0, 4)]
    assert [one.again for one in found] == [False, False, False, True], "a copy of an id is told"
    whole = check_fields(checked(trail(), tmp_path))
    assert whole["tenant"] == "bank" and whole["decisions"] == 4
    assert whole["last_hash"] in trail()[-1].decode()


def check_fields(value: object) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(value)
    return fields


def test_a_trail_begins_at_a_time_and_has_nothing_of_other_tenants(tmp_path: Path) -> None:
    assert check_fields(checked(trail(since_ms=3000), tmp_path))["decisions"] == 2
    assert b"shop" not in b"".join(trail()) and b"s1" not in b"".join(trail())
    assert b'"version":"v1","since":5' in trail()[0] and b'"scripts":1' in trail()[0]


@given(st.data())
@settings(max_examples=150)
def test_whatever_byte_is_changed_its_line_is_named(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    found = trail()
    number = data.draw(st.integers(0, len(found) - 1))
    place = data.draw(st.integers(0, len(found[number]) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte not in (10, found[number][place])))
    line = bytearray(found[number])
    line[place] = other
    found[number] = bytes(line)
    with pytest.raises(InputError, match=f"line {number + 1}:"):
        checked(found, tmp_path_factory.mktemp("trail"))


@pytest.mark.parametrize("gone", range(6))
def test_a_line_that_was_removed_is_missed_where_it_stood(gone: int, tmp_path: Path) -> None:
    found = trail()
    del found[gone]
    with pytest.raises(InputError, match=f"line {min(gone + 1, 5)}: .*(removed|missing)"):
        checked(found, tmp_path)


def test_lines_that_were_moved_or_put_in_are_named(tmp_path: Path) -> None:
    found = trail()
    with pytest.raises(InputError, match=r"line 3: .*moved"):
        checked([*found[:2], found[3], found[2], *found[4:]], tmp_path)
    with pytest.raises(InputError, match=r"line 4: .*put in"):
        checked([*found[:3], found[2], *found[3:]], tmp_path)
    with pytest.raises(InputError, match="line 7: comes after the end"):
        checked([*found, found[-1]], tmp_path)


def test_a_trail_that_was_written_anew_has_another_last_hash(tmp_path: Path) -> None:
    other = list(lines(entries(RECORDS[:4], "bank", 0, BOOK)))
    assert (
        check_fields(checked(other, tmp_path))["last_hash"]
        != check_fields(checked(trail(), tmp_path))["last_hash"]
    )


def test_what_is_no_trail_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 1: is no line of an audit trail"):
        checked([b'{"a":1}'], tmp_path)
    with pytest.raises(InputError, match="cannot read"):
        check(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_bytes(b"")
    with pytest.raises(InputError, match="missing"):
        check(tmp_path / "empty.jsonl")


def test_the_command_checks_a_trail_shows_its_last_hash_whole_and_names_the_first_altered_line(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bank.jsonl"
    written = list(lines(entries(RECORDS, "bank", 0, BOOK)))
    path.write_bytes(b"".join(line + b"\n" for line in written))
    done = CliRunner().invoke(app, ["audit", "--check", str(path)])
    assert done.exit_code == 0 and check(path).last_hash in done.stdout
    path.write_bytes(path.read_bytes().replace("您好 2".encode(), "您好 9".encode()))
    with pytest.raises(InputError, match="line 3"):
        CliRunner().invoke(app, ["audit", "--check", str(path)], catch_exceptions=False)
