"""The versions of each model, which of them serves whom, and when one may take another's place.

A model is a folder of the model repository, laid out as Triton wants it, and each version a numbered folder
in it that never changes: what is different is another version. Beside them `serving.json` says which version
is promoted, which one a share of the users tries, and where a rollback leads. It is the one truth: whoever
serves or scores watches it, and `inference.rollout` writes it. Without the file, the first version is
promoted, so that a folder which somebody drops beside it serves nobody yet.
"""

import logging
import time
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from inference.tritonserver import MODEL_REPOSITORY
from schemas.errors import InputError

SERVING, CARD, METRICS = "serving.json", "MODEL_CARD.md", "metrics.json"
LOOK_S = 1.0
"""A watch is never further behind the file than this."""

logger = logging.getLogger(__name__)

Share = Annotated[float, Meta(gt=0, lt=1)]


class Canary(Struct, frozen=True):
    """A version that a `share` of the users gets, the same ones each time."""

    version: str
    share: Share


class Serving(Struct, frozen=True, kw_only=True):
    """Which versions of a model serve.

    `before` were promoted earlier, the last at the end: where a rollback leads. `forced` were promoted
    although a figure of theirs had fallen.
    """

    promoted: str
    canary: Canary | None = None
    before: tuple[str, ...] = ()
    forced: tuple[str, ...] = ()

    @property
    def versions(self) -> tuple[str, ...]:
        """All that users get."""
        return (self.promoted,) if self.canary is None else (self.promoted, self.canary.version)

    def version_for(self, user: str) -> str:
        """The version that `user` (`tenant/user_id`) gets; nobody ("") gets the promoted one.

        A pure function: who is in the canary at a share of 5 % is in it at 10 %. Each version has other users
        try it, and neither has anything to do with what else is drawn by hash.

        >>> canary = Serving(promoted="1", canary=Canary("2", 0.25))
        >>> [canary.version_for(f"acme/u{number}") for number in range(8)]
        ['2', '1', '1', '2', '1', '2', '1', '1']
        """
        if self.canary is None or not user or _place(self.canary.version, user) >= self.canary.share:
            return self.promoted
        return self.canary.version


class Version(Struct, frozen=True, kw_only=True):
    """What is known of a version. `figures` (higher is better) decide whether it may be promoted.

    `fingerprint` names the data that it was trained on, `trained` the day; `missing` is what a version
    must have before it serves anybody.
    """

    model: str
    version: str
    folder: Path
    card: Path | None
    figures: dict[str, float]
    fingerprint: str | None
    trained: str | None
    size_bytes: int
    missing: tuple[str, ...]


class Fallen(Struct, frozen=True):
    """A figure that is lower than the promoted version's; `new` is None where it was not measured."""

    figure: str
    old: float
    new: float | None


class _Data(Struct, frozen=True):
    fingerprint: str | None = None


class _Metrics(Struct, frozen=True):
    """What the registry reads of a version's metrics; the rest is the model's own."""

    promotion: dict[str, float] = {}
    data: _Data = _Data()
    trained: str | None = None


def models(repository: Path) -> list[str]:
    """The models in `repository`."""
    return sorted(folder.name for folder in _folders(repository) if _numbers(folder))


def read(repository: Path, model: str) -> Serving:
    """Which versions of `model` serve.

    Raises:
        InputError: there is no such model, or its `serving.json` cannot be used.
    """
    path = repository / model / SERVING
    try:
        return msgspec.json.decode(path.read_bytes(), type=Serving)
    except FileNotFoundError:
        return Serving(promoted=str(_known(repository, model)[0]))
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"cannot use {path}: {error}") from error


def write(repository: Path, model: str, serving: Serving) -> None:
    """Says from now on which versions of `model` serve; a reader sees the old file or the new one.

    Raises:
        InputError: the folder cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(serving)).decode() + "\n"
    replace(repository / model / SERVING, text)


def replace(path: Path, text: str) -> None:
    """Puts `text` in the place of the file at once.

    Raises:
        InputError: it cannot be written.
    """
    written = path.with_suffix(".new")
    try:
        written.write_text(text, encoding="utf-8")
        written.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}") from error


def promoted(model: str, repository: Path = MODEL_REPOSITORY) -> Path:
    """The folder of the version of `model` that users get.

    Raises:
        InputError: there is no such model, or its `serving.json` cannot be used.

    >>> promoted("sentiment").parent.name
    'sentiment'
    """
    return repository / model / read(repository, model).promoted


class Watch:
    """The `serving` of a model as it is by now: read again where it was last looked at `LOOK_S` ago.

    A file that cannot be used later on is logged, and what it said before holds.

    Raises:
        InputError: it cannot be used at the start.
    """

    def __init__(self, repository: Path, model: str, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._repository, self._model, self._clock_s = repository, model, clock_s
        self._serving = read(repository, model)
        self._looked_s = clock_s()

    def serving(self) -> Serving:
        """Which versions serve now."""
        now_s = self._clock_s()
        if now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            try:
                self._serving = read(self._repository, self._model)
            except InputError as error:
                logger.warning("version %s goes on: %s", self._serving.promoted, error)
        return self._serving


def versions(repository: Path, model: str) -> list[Version]:
    """All versions of `model`, the first one first.

    Raises:
        InputError: there is no such model.
    """
    return [_version(repository, model, str(number)) for number in _known(repository, model)]


def version(repository: Path, model: str, name: str) -> Version:
    """One version of `model`.

    Raises:
        InputError: there is none of that name.
    """
    numbers = _known(repository, model)
    if name not in map(str, numbers):
        raise InputError(f"{model} has no version {name}: there are {', '.join(map(str, numbers))}")
    return _version(repository, model, name)


def next_version(repository: Path, model: str) -> Path:
    """The folder for a new version of `model`, which is not there yet."""
    return repository / model / str(max(_numbers(repository / model), default=0) + 1)


def fallen(new: Mapping[str, float], old: Mapping[str, float]) -> list[Fallen]:
    """The figures in which `new` is worse than `old`. By how little does not matter.

    >>> fallen({"auc": 0.88, "recall": 0.6}, {"auc": 0.89, "recall": 0.5})
    [Fallen(figure='auc', old=0.89, new=0.88)]
    """
    pairs = ((figure, value, new.get(figure)) for figure, value in old.items())
    return [Fallen(figure, was, now) for figure, was, now in pairs if now is None or not now >= was]


def _version(repository: Path, model: str, name: str) -> Version:
    folder = repository / model / name
    missing = []
    card = folder / CARD
    if not card.is_file():
        missing.append(CARD)
    metrics = _metrics(folder / METRICS)
    if metrics is None:
        metrics = _Metrics()
        missing.append(METRICS)
    else:
        if not metrics.promotion:
            missing.append(f"promotion in {METRICS}")
        if not metrics.data.fingerprint:
            missing.append(f"data.fingerprint in {METRICS}")
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return Version(
        model=model,
        version=name,
        folder=folder,
        card=card if card.is_file() else None,
        figures=metrics.promotion,
        fingerprint=metrics.data.fingerprint,
        trained=metrics.trained,
        size_bytes=sum(path.stat().st_size for path in files),
        missing=tuple(missing),
    )


def _metrics(path: Path) -> _Metrics | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Metrics)
    except (OSError, msgspec.DecodeError):
        return None


def _place(version: str, user: str) -> float:
    """Where `user` stands between 0 and 1 among all users, in the order in which they get `version`."""
    digest = blake2b(f"{version}\n{user}".encode(), digest_size=8, person=b"canary").digest()
    return int.from_bytes(digest) / 2**64


def _known(repository: Path, model: str) -> list[int]:
    found = _numbers(repository / model)
    if not found:
        there = ", ".join(models(repository)) or "no model"
        raise InputError(f"{model} is no model of {repository}: there is {there}")
    return found


def _numbers(folder: Path) -> list[int]:
    """The versions in `folder`, by the rule of Triton: a number that does not begin with 0."""
    names = [one.name for one in _folders(folder)]
    return sorted(int(name) for name in names if name.isdecimal() and name.isascii() and name[0] != "0")


def _folders(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if one.is_dir()] if folder.is_dir() else []
