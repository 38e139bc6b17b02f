"""Chances by what they are for: nobody's depend on how many others were drawn, or in which order.

A generator gives numbers one after the other, so whoever draws one more shifts all that come after. Here
a number is a hash of a key, and a key one of the seed, the day, the customer and so on (Salmon et al.,
"Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011; the mixing is that of Steele, Lea and Flood, "Fast
Splittable Pseudorandom Number Generators", OOPSLA 2014).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from benchmarks.simulation.customers import Floats, Ints

Keys = NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIXING = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_BITS = 53
"""Of a key, as many as a float keeps exactly."""


def keyed(key: Keys | int, *parts: Ints | int) -> Keys:
    """The keys below `key` that `parts` name, whole numbers from 0 on; arrays go together as in numpy.

    >>> keyed(1, np.arange(3), 7)[1] == keyed(1, np.array([1, 5]), 7)[0]
    True
    """
    found = np.atleast_1d(np.asarray(key, dtype=np.uint64))
    for part in parts:
        found = found + _GOLDEN * (np.atleast_1d(np.asarray(part, dtype=np.uint64)) + np.uint64(1))
        for shift, factor in _MIXING:
            found = (found ^ (found >> shift)) * factor
        found = found ^ (found >> np.uint64(31))
    return found


def uniform(key: Keys, purpose: int) -> Floats:
    """A number between 0 and 1, neither included, for each of `key`; another for each `purpose`.

    >>> chances = uniform(keyed(1, np.arange(10_000)), 0)
    >>> bool(0.49 < chances.mean() < 0.51), bool(abs(chances.std() - 12**-0.5) < 0.01)
    (True, True)
    """
    bits = keyed(key, purpose) >> np.uint64(64 - _BITS)
    return np.asarray((bits + 0.5) / float(1 << _BITS), dtype=np.float64)


def normal(key: Keys, purpose: int) -> Floats:
    """The same, of the standard normal distribution.

    >>> chances = normal(keyed(1, np.arange(10_000)), 0)
    >>> bool(abs(chances.mean()) < 0.03), bool(abs(chances.std() - 1) < 0.03)
    (True, True)
    """
    return np.asarray(ndtri(uniform(key, purpose)), dtype=np.float64)
