"""Moves users from one version of a model to another while they go on asking.

A model that Triton serves (one with a `config.pbtxt`) has the new version loaded beside the old one, then
`serving.json` says who gets which, and when all who ask have seen that, the old one is unloaded; Triton lets
it finish what it has begun. Which versions are loaded is the version policy in the model's `config.pbtxt`: so
each load, also that of a Triton that starts anew, gives those that are meant to serve, whatever other folders
lie beside them. Every step leaves more loaded than is asked for, never less: it may break off anywhere.
"""

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import msgspec
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from inference.registry import LOOK_S, Canary, Serving, Version, fallen, read, replace, version, write
from schemas.errors import InputError, UnavailableError

CONFIG = "config.pbtxt"
SEEN_S = LOOK_S + 2.0
"""Seconds until every process has seen a new `serving.json`, one that is held up for a while too."""
_ASK_S, _LOAD_S = 2.0, 600.0
# The text format of protocol buffers, and of the field no more than Triton documents: one level within.
_POLICY = re.compile(r"^version_policy\s*:?\s*\{(?:[^{}]|\{[^{}]*\})*\}[ \t]*$", re.MULTILINE)


class Rollout:
    """Changes which versions of `model` serve, with the Triton at `address` (gRPC `host:port`).

    One change at a time: another that is under way, by whomever, raises InputError.
    """

    def __init__(
        self, repository: Path, model: str, address: str, wait_s: Callable[[float], None] = time.sleep
    ) -> None:
        self._repository, self._model, self._address, self._wait_s = repository, model, address, wait_s
        self._folder = repository / model
        read(repository, model)

    @property
    def in_triton(self) -> bool:
        """Whether Triton serves the model; else whoever scores with it loads it."""
        return (self._folder / CONFIG).is_file()

    def promote(self, name: str, *, force: bool = False) -> Serving:
        """All users get the version `name`. A canary ends.

        Raises:
            InputError: it is not complete, one of its figures is below the promoted version's (and not
                `force`d), or Triton cannot load it.
            UnavailableError: Triton does not answer.
        """
        with self._alone() as now:
            if name == now.promoted:
                raise InputError(f"version {name} of {self._model} is promoted already")
            new = self._complete(name)
            worse = fallen(new.figures, version(self._repository, self._model, now.promoted).figures)
            if worse and not force:
                figures = "; ".join(
                    f"{one.figure} was {one.old} in version {now.promoted} and is "
                    f"{'not measured' if one.new is None else one.new}"
                    for one in worse
                )
                raise InputError(f"version {name} of {self._model} is not promoted: {figures}")
            then = Serving(
                promoted=name,
                before=(*now.before, now.promoted),
                forced=(*now.forced, name) if worse and name not in now.forced else now.forced,
            )
            return self._move(now, then)

    def rollback(self) -> Serving:
        """All users get the version that was promoted before; a canary ends.

        Where Triton does not answer, it loads that version when it starts.

        Raises:
            InputError: there was none before, it is gone, or Triton cannot load it.
        """
        with self._alone() as now:
            if not now.before:
                raise InputError(f"no version of {self._model} was promoted before {now.promoted}")
            *before, last = now.before
            version(self._repository, self._model, last)
            then = Serving(promoted=last, before=tuple(before), forced=now.forced)
            return self._move(now, then, backwards=True)

    def canary(self, name: str, share: float) -> Serving:
        """A `share` (between 0 and 1) of the users gets the version `name`, whatever its figures are.

        Raises:
            InputError: it is not complete or promoted already, the share is none, or Triton cannot load it.
            UnavailableError: Triton does not answer.
        """
        if not 0 < share < 1:
            raise InputError(f"a share of {share:g} is not between 0 and 1")
        with self._alone() as now:
            if name == now.promoted:
                raise InputError(f"all users get version {name} of {self._model} already")
            self._complete(name)
            return self._move(now, msgspec.structs.replace(now, canary=Canary(name, share)))

    def end_canary(self) -> Serving:
        """All users get the promoted version. Where Triton does not answer, it unloads nothing.

        Raises:
            InputError: there is no canary.
        """
        with self._alone() as now:
            if now.canary is None:
                raise InputError(f"no version of {self._model} is tried as a canary")
            return self._move(now, msgspec.structs.replace(now, canary=None), backwards=True)

    def loaded(self) -> set[str]:
        """The versions that Triton has ready.

        Raises:
            UnavailableError: it does not answer.
        """
        with self._asking() as triton:
            index = triton.get_model_repository_index(client_timeout=_ASK_S).models
        return {one.version for one in index if one.name == self._model and one.state == "READY"}

    def _complete(self, name: str) -> Version:
        found = version(self._repository, self._model, name)
        if found.missing:
            raise InputError(
                f"version {name} of {self._model} is not complete: it lacks {', '.join(found.missing)}"
            )
        return found

    def _move(self, now: Serving, then: Serving, backwards: bool = False) -> Serving:
        if not self.in_triton:
            write(self._repository, self._model, then)
            return then
        both = {*now.versions, *then.versions}
        try:
            self._load(both)
        except (InputError, UnavailableError):
            if not backwards:
                raise
        else:
            write(self._repository, self._model, then)
            if both != {*then.versions}:
                self._wait_s(SEEN_S)
        self._settle(then)
        return then

    def _settle(self, then: Serving) -> None:
        """No other version is loaded from now on; a Triton that is away does so when it starts."""
        set_policy(self._folder, then.versions)
        write(self._repository, self._model, then)
        with suppress(UnavailableError):
            self._load(then.versions)

    def _load(self, versions: Iterable[str]) -> None:
        """Has Triton load these versions and no other; when it cannot, all is as before."""
        before = set_policy(self._folder, versions)
        try:
            if self.loaded() == set(versions):
                return
            with self._asking() as triton:
                triton.load_model(self._model, client_timeout=_LOAD_S)
            if missing := set(versions) - self.loaded():
                raise InputError(
                    f"Triton at {self._address} does not load version {', '.join(sorted(missing))} of "
                    f"{self._model}: does it serve {self._repository}?"
                )
        except (InputError, UnavailableError):
            replace(self._folder / CONFIG, before)
            raise

    @contextmanager
    def _asking(self) -> Iterator[InferenceServerClient]:
        """A client of Triton, whose errors become ours."""
        triton = InferenceServerClient(self._address)
        try:
            yield triton
        except (InferenceServerException, grpc.RpcError) as error:
            status = str(error.status() if isinstance(error, InferenceServerException) else error.code())
            if status in ("StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED"):
                raise UnavailableError(f"Triton at {self._address} does not answer") from error
            raise InputError(f"Triton at {self._address} cannot load {self._model}: {error}") from error
        finally:
            triton.close()

    @contextmanager
    def _alone(self) -> Iterator[Serving]:
        """Who serves now, while nobody else changes it."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"another change of {self._model} is under way") from None
            yield read(self._repository, self._model)
        finally:
            os.close(folder)


def set_policy(folder: Path, versions: Iterable[str]) -> str:
    """Has the configuration in a model's `folder` name the versions that Triton loads; gives the one before.

    Raises:
        InputError: it cannot be written.
    """
    path = folder / CONFIG
    before = path.read_text(encoding="utf-8")
    listed = ", ".join(sorted(versions, key=int))
    policy = f"version_policy: {{ specific: {{ versions: [ {listed} ] }} }}"
    after, found = _POLICY.subn(policy, before)
    replace(path, after if found else f"{before.rstrip()}\n{policy}\n")
    return before
