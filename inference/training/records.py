"""What is trained on, as JSON lines: a prompt and its answer, one a line."""

from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from schemas.errors import InputError

HELD_OUT_SHARE = 20
"""One prompt of so many is kept from the training, to tell its loss by."""

T = TypeVar("T", bound=Struct)


class Answered(Struct, frozen=True, kw_only=True):
    """A prompt, up to where the answer begins, and the answer that is wanted; `task` is for the report."""

    prompt: str
    answer: str
    task: str = "script"


def read(path: Path, kind: type[T]) -> list[T]:
    """The records of `path`, in their order.

    Raises:
        InputError: the file cannot be read or holds no record, or a line of it is none of `kind`.
    """
    decoder = msgspec.json.Decoder(kind)
    found: list[T] = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    found.append(decoder.decode(line))
                except msgspec.MsgspecError as error:
                    raise InputError(f"line {number} of {path} is no {kind.__name__}: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if not found:
        raise InputError(f"{path} holds no records")
    return found


def fingerprint(path: Path) -> str:
    """The BLAKE2b digest (16 bytes, hex) of a file: what a card names its data by."""
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_held_out(prompt: str) -> bool:
    """Whether the record with this prompt is kept from the training, whatever file it is in."""
    return int.from_bytes(blake2b(prompt.encode(), digest_size=8).digest()) % HELD_OUT_SHARE == 0
