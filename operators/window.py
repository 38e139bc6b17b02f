"""The 30-day window of one user as one integer: 720 panes of an hour, one bit each."""

from functools import lru_cache
from hashlib import md5

from msgspec import Struct

PANE_MS = 3_600_000
WINDOW_PANES = 720
RECENT_PANES = 168
PHASE_STEP_MS = 878


@lru_cache(maxsize=1024)
def phase_ms(key: str) -> int:
    """The user's own offset of pane boundaries, 0 to 3,595,410 ms, so that users' panes end spread.

    >>> phase_ms("acme/u1")
    994774
    """
    return PHASE_STEP_MS * int(md5(key.encode(), usedforsecurity=False).hexdigest()[:3], 16)


def pane_of(ts_ms: int, phase: int) -> int:
    """The pane that time `ts_ms` lies in."""
    return (ts_ms - phase) // PANE_MS


def boundary_ms(pane: int, phase: int) -> int:
    """The time at which `pane` ends and is evaluated: the first ms that is not in it."""
    return phase + (pane + 1) * PANE_MS


class Window(Struct, frozen=True):
    """Active panes that evaluations still to come can see.

    `done` is the last pane evaluated. Bit i of `bits` (little-endian bytes) is pane
    `done - 718 + i`: bits 0 to 718 reach back as far as the next evaluation looks, higher ones are
    panes ahead of the evaluations, since events run ahead of the watermark without a bound.

    >>> window = Window(100).mark(101).mark(103)
    >>> window.counts(101), window.counts(103), window.counts(103 + RECENT_PANES)
    ((1, 0), (2, 0), (0, 2))
    """

    done: int
    bits: bytes = b""

    @property
    def base(self) -> int:
        """The pane of bit 0."""
        return self.done - WINDOW_PANES + 2

    @property
    def mask(self) -> int:
        """All bits as one integer."""
        return int.from_bytes(self.bits, "little")

    def active(self, pane: int) -> bool:
        """Whether `pane` is marked; of panes that no evaluation sees any more it says no."""
        shift = pane - self.base
        return shift >= 0 and bool(self.mask >> shift & 1)

    def mark(self, pane: int) -> "Window":
        """The window with `pane` active; itself where it was already, or no later evaluation sees it."""
        shift = pane - self.base
        if shift < 0 or self.active(pane):
            return self
        return _window(self.done, self.mask | 1 << shift)

    def at(self, done: int) -> "Window":
        """The same active panes with evaluations up to `done`; what none can see any more is dropped."""
        shift = done - self.done
        return _window(done, self.mask >> shift if shift >= 0 else self.mask << -shift)

    def counts(self, pane: int) -> tuple[int, int]:
        """`recent` and `prior` as of `pane`, which is later than `done`."""
        return counts(self.mask, pane - self.done - 1)


def counts(mask: int, ahead: int) -> tuple[int, int]:
    """`recent` and `prior` as of the pane `ahead` panes after the next one to be evaluated."""
    seen = mask >> ahead & _ALL
    recent = (seen >> WINDOW_PANES - RECENT_PANES).bit_count()
    return recent, (seen & _PRIOR).bit_count()


_ALL = (1 << WINDOW_PANES) - 1
_PRIOR = (1 << WINDOW_PANES - RECENT_PANES) - 1


def _window(done: int, mask: int) -> Window:
    return Window(done, mask.to_bytes(mask.bit_length() + 7 >> 3, "little"))
