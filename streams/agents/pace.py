"""How long the model takes these days: whether asking it is worth a try in the time that is left."""

_MEAN, _SPREAD, _WIDTH = 1 / 8, 1 / 4, 2.0
_FORGET = 0.95


class Pace:
    """What nearly all calls stay within, by running mean and deviation as TCP keeps them (RFC 6298).

    >>> pace = Pace()
    >>> for took_ms in (20.0, 24.0, 22.0) * 10:
    ...     pace.took(took_ms)
    >>> pace.fits(40.0), pace.fits(10.0), pace.fits(40.0, turn=2)
    (True, False, False)
    >>> pace.gave_up_after(40.0)
    >>> pace.fits(40.0)
    False
    """

    def __init__(self) -> None:
        self._mean_ms = 0.0
        self._spread_ms = 0.0

    @property
    def expected_ms(self) -> float:
        """What a call should be given; 0 while nothing is known."""
        return self._mean_ms + _WIDTH * self._spread_ms

    def took(self, ms: float) -> None:
        """A call took that long."""
        self._spread_ms += _SPREAD * (abs(ms - self._mean_ms) - self._spread_ms)
        self._mean_ms += _MEAN * (ms - self._mean_ms)

    def gave_up_after(self, ms: float) -> None:
        """A call was not answered in that time. It counts as twice as long, as TCP doubles its timeout (RFC
        6298, 5.5): counted as it is, calls that end at their limit would seem to fit, and be made again."""
        self.took(2 * ms)

    def fits(self, left_ms: float, turn: int = 1) -> bool:
        """Whether a call is likely to be answered in `left_ms`; with a `turn` of 2 it begins after another.

        While nothing is known the first alone is tried. Each no to a call that need not wait makes the next
        one less likely: what was slow is tried again after a while.
        """
        if not self._mean_ms:
            return turn == 1
        if left_ms < self.expected_ms:
            self._mean_ms *= _FORGET
            self._spread_ms *= _FORGET
            return False
        return left_ms >= turn * self.expected_ms
