"""A tenant's decisions as an audit trail: lines of JSON, each bound to the one before it by its hash.

A line is `{"number":…,"before":…,"entry":…,"hash":…}`. `hash` is the SHA-256 (hex) of all bytes of the line
before `,"hash":`, and `before` is the hash of the line before it: who alters, removes or puts in a line must
write all lines after it anew, and the last hash is another one. The entries are a head (tenant, and the rules
in all their versions), each decision as it was published, in the order of publication, and an end that counts
them.
"""

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from schemas.errors import InputError
from schemas.events import EpochMs, TenantId
from schemas.policy import Policy, RuleBook
from streams.consumer import Record

_HASH = re.compile(rb'^(\{.*),"hash":"([0-9a-f]{64})"\}$', re.DOTALL)


class RulesOf(Struct, frozen=True, kw_only=True):
    """The tenant's rules in one version."""

    version: str
    since: EpochMs
    policy: Policy


class Head(Struct, frozen=True, kw_only=True, tag="head", tag_field="kind"):
    """What a trail is of: all decisions of `tenant` on crossings from `since` (epoch ms) on."""

    tenant: TenantId
    since: EpochMs
    rules: tuple[RulesOf, ...]


class Decided(Struct, frozen=True, kw_only=True, tag="decision", tag_field="kind"):
    """A decision as published at `append_ms`, the broker's time; `again` where its id was there before."""

    append_ms: int
    again: bool
    decision: msgspec.Raw


class End(Struct, frozen=True, kw_only=True, tag="end", tag_field="kind"):
    """The last line: how many decisions there are above it."""

    decisions: int


Entry = Head | Decided | End


class _Line(Struct, frozen=True, kw_only=True):
    number: int
    before: str
    entry: Entry
    hash: str = ""


class Trail(Struct, frozen=True, kw_only=True):
    """What is known of a whole trail; `last_hash` is that of its last line."""

    tenant: str
    since: EpochMs
    decisions: int
    last_hash: str


class _Decision(Struct, frozen=True):
    id: str
    tenant: str
    at: int


_decision = msgspec.json.Decoder(_Decision)
_line = msgspec.json.Decoder(_Line)
_encoder = msgspec.json.Encoder()


def entries(records: Iterable[Record], tenant: str, since_ms: int, book: RuleBook) -> Iterator[Entry]:
    """The entries of the trail of `tenant`, from the records of the topic `decisions`."""
    rules = tuple(
        RulesOf(version=one.version, since=one.since, policy=one.of(tenant)) for one in book.versions
    )
    yield Head(tenant=tenant, since=since_ms, rules=rules)
    own = [record for record in records if (record.key or b"").partition(b"/")[0] == tenant.encode()]
    seen: set[str] = set()
    number = 0
    for record in sorted(own, key=lambda one: (one.append_ms, one.partition, one.offset)):
        decision = _decision.decode(record.value or b"")
        if decision.tenant == tenant and decision.at >= since_ms:
            number += 1
            yield Decided(
                append_ms=record.append_ms,
                again=decision.id in seen,
                decision=msgspec.Raw(record.value or b""),
            )
            seen.add(decision.id)
    yield End(decisions=number)


def lines(trail: Iterable[Entry]) -> Iterator[bytes]:
    """The entries as lines, without their ends.

    >>> head, end = lines([Head(tenant="acme", since=0, rules=()), End(decisions=0)])
    >>> head.decode()[:90]
    '{"number":1,"before":"","entry":{"kind":"head","tenant":"acme","since":0,"rules":[]},"hash'
    >>> head.decode()[-66:-2] in end.decode()
    True
    """
    before = ""
    for number, entry in enumerate(trail, 1):
        body = {"number": number, "before": before, "entry": entry}
        told = _encoder.encode(body).removesuffix(b"}")
        before = sha256(told).hexdigest()
        yield told + b',"hash":"' + before.encode() + b'"}'


def check(path: Path) -> Trail:
    """What the trail in the file `path` is of, if it is whole.

    Raises:
        InputError: it cannot be read, or is not whole; the text names the first line that is wrong.
    """
    try:
        with path.open("rb") as file:
            return _check(path.name, (line.removesuffix(b"\n") for line in file))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _check(name: str, found: Iterable[bytes]) -> Trail:
    before, number, decisions = "", 0, 0
    head: Head | None = None
    end: End | None = None
    for number, text in enumerate(found, 1):
        where = f"{name} line {number}"
        if end is not None:
            raise InputError(f"{where}: comes after the end of the trail")
        line = _read(where, text)
        if line.number != number or line.before != before:
            raise InputError(
                f"{where}: is line {line.number} of the trail and does not follow the one above it; "
                "lines were removed, put in or moved"
            )
        before = line.hash
        match line.entry:
            case Head():
                head = line.entry
            case Decided():
                decisions += 1
            case End():
                end = line.entry
    if head is None or end is None or end.decisions != decisions:
        raise InputError(f"{name} line {number}: is not the end of the trail; lines after it are missing")
    return Trail(tenant=head.tenant, since=head.since, decisions=decisions, last_hash=before)


def _read(where: str, text: bytes) -> _Line:
    parts = _HASH.match(text)
    if parts is None:
        raise InputError(f"{where}: is no line of an audit trail")
    if sha256(parts[1]).hexdigest().encode() != parts[2]:
        raise InputError(f"{where}: was altered, its hash is of another content")
    try:
        return _line.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{where}: is no line of an audit trail: {error}") from None
