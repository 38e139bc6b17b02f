"""How much of a prompt examples may take: each version of the model says so, in `prompt.json` beside it.

A version that says nothing takes none: it was trained without, and a small model has few positions. Room is
counted with the tokenizer that lies beside the version. Where none does, each byte counts as a token: no
byte-level tokenizer makes more of a text, so the room is never exceeded, and about a quarter of it is used.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct
from tokenizers import Tokenizer

from schemas.errors import InputError

FILE, TOKENIZER = "prompt.json", "tokenizer.json"

logger = logging.getLogger(__name__)


def _bytes(text: str) -> int:
    return len(text.encode())


class Room(NamedTuple):
    """How many tokens all examples of a prompt may take together, and how a text's tokens are counted."""

    tokens: int = 0
    count: Callable[[str], int] = _bytes


class _File(Struct, forbid_unknown_fields=True):
    example_tokens: Annotated[int, Meta(ge=0)] = 0


def room(folder: Path) -> Room:
    """What the version in `folder` says.

    Raises:
        InputError: its `prompt.json` or tokenizer cannot be used.
    """
    path = folder / FILE
    try:
        tokens = msgspec.json.decode(path.read_bytes(), type=_File).example_tokens
    except FileNotFoundError:
        return Room()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"cannot use {path}: {error}") from error
    path = folder / TOKENIZER
    if not tokens or not path.is_file():
        return Room(tokens)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise InputError(f"cannot use {path}: {error}") from error
    return Room(tokens, lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids))


class Rooms:
    """The room of each version in the `folder` of a model, looked at once, since a version never changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Room] = {}

    def __call__(self, version: str) -> Room:
        """The room of `version`; none, and a line in the log, where what it says cannot be used."""
        if version not in self._known:
            try:
                self._known[version] = room(self._folder / version)
            except InputError as error:
                logger.error("version %s is shown no examples: %s", version, error)
                self._known[version] = Room()
        return self._known[version]
