"""How a version of the rules comes after others: from when on, what it changes, how it is written down."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from operators.calendar import told
from schemas.errors import InputError
from schemas.policy import Experiment, Policy, RuleBook, Rules
from streams.rules import LEAD_MS

DEFAULT = "default"
_SHOWN = 5


class Change(Struct, frozen=True, kw_only=True):
    """A field of a tenant's rules that becomes another; `tenant` is `default` for all that are not named."""

    tenant: str
    field: str
    before: str
    after: str


def placed(
    rules: Rules, book: RuleBook, now_ms: int, since_ms: int | None, decided_from: Callable[[int], bool]
) -> Rules | None:
    """`rules` with the time from which it holds, fit to follow those in `book`; None if it is there already.

    That time is `since_ms` (epoch ms) if given, else the one stated in `rules`, else `LEAD_MS` after
    `now_ms`. `decided_from` tells whether decisions of that time or later are published.

    Raises:
        InputError: it would change what was decided, or hides or replaces another version.
    """
    wanted_ms = since_ms if since_ms is not None else rules.since or None
    for other in book.versions:
        if other.version != rules.version:
            continue
        same = msgspec.structs.replace(rules, since=other.since) == other
        if same and wanted_ms in (None, other.since):
            return None
        differs = f"holds from {told(other.since)}" if same else "has another content"
        raise InputError(
            f"version {rules.version} is there already and {differs}; a version is never changed, "
            "since decisions name it: give the new one another name"
        )
    at_ms = now_ms + LEAD_MS if wanted_ms is None else wanted_ms
    for other in book.versions:
        if other.since == at_ms:
            raise InputError(f"version {other.version} holds from {told(at_ms)} as well; choose another time")
    if at_ms <= now_ms and decided_from(at_ms):
        raise InputError(
            f"version {rules.version} would hold from {told(at_ms)}, and decisions since then are published "
            "under other rules, as which they would not replay; leave the time out, or choose one to come"
        )
    return msgspec.structs.replace(rules, since=at_ms)


def changes(before: Rules, after: Rules) -> Iterator[Change]:
    """What `after` changes, by tenant and field: what applies to a tenant, wherever it is stated.

    >>> from schemas.policy import Cap
    >>> week = Rules(version="b", tenants={"acme": Policy(caps=(Cap(scripts=1, days=7),))})
    >>> [(one.tenant, one.field, one.before, one.after) for one in changes(Rules(version="a"), week)]
    [('acme', 'caps', '[]', '[{"scripts":1,"days":7}]')]
    """
    tenants = sorted({*before.tenants, *after.tenants})
    pairs = [(DEFAULT, before.default, after.default)]
    pairs += [(tenant, before.of(tenant), after.of(tenant)) for tenant in tenants]
    for tenant, old, new in pairs:
        for field in Policy.__struct_fields__:
            for name, was, becomes in _differences(field, getattr(old, field), getattr(new, field)):
                yield Change(tenant=tenant, field=name, before=was, after=becomes)


def stated(value: Any) -> Any:
    """`value` as a person would write it down: without what is left as it is by default.

    >>> stated(Rules(version="v1", default=Policy(dry_run=True)))
    {'version': 'v1', 'default': {'dry_run': True}}
    """
    if isinstance(value, Struct):
        fields = msgspec.structs.fields(value)
        return {
            one.name: stated(getattr(value, one.name))
            for one in fields
            if one.required or getattr(value, one.name) != _default(one)
        }
    if isinstance(value, dict):
        return {str(key): stated(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [stated(one) for one in value]
    if isinstance(value, frozenset):
        return sorted(value)
    return msgspec.to_builtins(value)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _differences(field: str, old: Any, new: Any) -> Iterator[tuple[str, str, str]]:
    """The name of what differs, and how it was and becomes, for people."""
    if old == new:
        return
    if field == "suppressed":
        yield (
            field,
            f"{len(old)} users",
            f"{len(new)} users{_listed('+', new - old)}{_listed('-', old - new)}",
        )
        return
    if field != "experiments":
        yield field, _text(old), _text(new)
        return
    olds, news = ({one.name: one for one in experiments} for experiments in (old, new))
    for name in dict.fromkeys((*olds, *news)):
        yield from _experiment(f"{field}.{name}", olds.get(name), news.get(name))
    if olds == news:  # of two that change the same the later one does
        yield field, ", ".join(olds), ", ".join(news)


def _experiment(name: str, old: Experiment | None, new: Experiment | None) -> Iterator[tuple[str, str, str]]:
    if old is None or new is None:
        yield name, "-" if old is None else _text(old), "-" if new is None else _text(new)
        return
    for field in Experiment.__struct_fields__:
        was, becomes = getattr(old, field), getattr(new, field)
        if was != becomes:
            yield f"{name}.{field}", _text(was), _text(becomes)


def _listed(sign: str, users: frozenset[str]) -> str:
    named = sorted(users)
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return "".join(f" {sign}{user}" for user in named[:_SHOWN]) + more


def _text(value: Any) -> str:
    return msgspec.json.encode(stated(value)).decode()
