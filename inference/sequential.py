"""Intervals and p-values that stay right however often they are looked at.

An interval of 95 % that is computed anew each day, until it excludes 0, does so by chance far more often than
in 5 % of experiments. Those here bound the chance over all looks together, so one may look daily and stop at
any.

Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic
confidence sequences", Annals of Statistics 52(6), 2024 (arXiv 2103.06476), theorem 2.2: Robbins' normal
mixture with an estimated variance. Like the central limit theorem's, its guarantee is one of many units.
"""

import math

ALPHA = 0.05
"""How often an experiment without any effect may be said to have one, over all looks."""
TIGHTEST_AT = 2_000
"""Units at which the interval is tightest for what is possible. Chosen once, ahead of the data."""
_RHO2 = (-2 * math.log(ALPHA) + math.log(1 - 2 * math.log(ALPHA))) / TIGHTEST_AT


def margin(error: float, n: int, alpha: float = ALPHA) -> float:
    """Half the width of the interval at `n` units, of an estimate whose standard error is `error` then.

    With t = n: error × √(2 (tρ² + 1) / (tρ²) × log(√(tρ² + 1) / α)). At a single look 1.96 errors would do.

    >>> [round(margin(1.0, n), 2) for n in (100, 2_000, 100_000)]
    [4.72, 3.04, 3.47]
    """
    t = n * _RHO2
    return error * math.sqrt(2 * (t + 1) / t * math.log(math.sqrt(t + 1) / alpha))


def evidence(estimate: float, error: float, n: int) -> float:
    """The e-value against "the true value is 0": under it, more than 1 / α at any look has a chance of α.

    It is more than 1 / α just where the interval at α excludes 0. Infinite where a float cannot hold it.

    >>> round(evidence(margin(1.0, 700), 1.0, 700), 6) == 1 / ALPHA
    True
    """
    t = n * _RHO2
    log_e = (estimate / error) ** 2 * t / (2 * (t + 1)) - math.log(t + 1) / 2
    return math.exp(log_e) if log_e < math.log(1e300) else math.inf


def p_value(e_value: float) -> float:
    """The p-value that an e-value stands for; it may be read at any look.

    >>> p_value(20.0), p_value(0.3)
    (0.05, 1.0)
    """
    return min(1.0, 1 / e_value)
