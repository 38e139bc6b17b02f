"""The contract as it was released last, kept to compare with: `python -m schemas.release` takes a new one.

`released/` holds the JSON Schemas of that version. `VERSION` in `schemas.generate` is raised by hand: the
last number for what breaks nobody, the first one (before 1.0.0 the second) for what breaks somebody.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from typing import Any

from schemas.compatibility import Break, Direction, breaks
from schemas.errors import InputError
from schemas.generate import HERE, VERSION, direction_of, files, record_types

RELEASED = HERE / "released"
VERSION_FILE = RELEASED / "VERSION"


def since_release() -> list[Break]:
    """What breaks readers or senders of the last release in the schemas as the types give them now."""
    now = {path.stem: json.loads(text) for path, text in files() if path.suffix == ".json"}
    directions = {record.__name__.lower(): direction_of(record) for record in record_types()}
    return [
        one
        for path in sorted(RELEASED.glob("*.json"))
        for one in _breaks(path.stem, _read(path.stem), now, directions)
    ]


def _breaks(
    name: str, old: dict[str, Any], now: dict[str, Any], directions: dict[str, Direction]
) -> Iterator[Break]:
    if name not in now:
        yield Break(name, "", "is a record that no topic carries any more")
    else:
        yield from breaks(name, directions[name], old, now[name])


def _read(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((RELEASED / f"{name}.json").read_text(encoding="utf-8"))
    return schema


def released_version() -> str:
    """The version that was released last."""
    return VERSION_FILE.read_text(encoding="utf-8").strip()


def may_break(old: str, new: str) -> bool:
    """Whether a version says that it breaks with the one before.

    >>> [may_break("0.1.0", new) for new in ("0.1.1", "0.2.0")], may_break("1.4.0", "1.5.0")
    ([False, True], False)
    """
    was, now = _numbers(old), _numbers(new)
    return now[0] > was[0] or (was[0] == now[0] == 0 and now[1] > was[1])


def check(old: str, new: str, found: list[Break]) -> None:
    """See to it that `new` may follow `old` with the breaks that were `found`.

    Raises:
        InputError: it is no later version, or does not say that it breaks somebody.
    """
    if _numbers(new) <= _numbers(old):
        raise InputError(f"VERSION in schemas/generate.py is {new}, and {old} is released: raise it first")
    if found and not may_break(old, new):
        told = "\n  ".join(str(one) for one in found)
        raise InputError(f"{new} does not say that it breaks with {old}:\n  {told}")


def main() -> None:
    """Take the schemas of now as the released ones."""
    try:
        check(released_version(), VERSION, since_release())
    except InputError as error:
        sys.exit(f"release: {error}")
    for path in RELEASED.glob("*.json"):
        path.unlink()
    for path, _ in files():
        if path.suffix == ".json":
            shutil.copy(path, RELEASED / path.name)
    VERSION_FILE.write_text(f"{VERSION}\n", encoding="utf-8")
    print(f"release: {VERSION}")


def _numbers(version: str) -> tuple[int, ...]:
    numbers = version.split(".")
    if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
        raise InputError(f"{version!r} is no version, expected three numbers such as 0.2.0")
    return tuple(map(int, numbers))


if __name__ == "__main__":
    main()
