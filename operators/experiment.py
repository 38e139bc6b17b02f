"""Chance that always decides the same way: who is held out, and which arm of an experiment a user gets.

A place in [0, 1) is a hash of what is decided and of whom, as uniform as chance and independent from one salt
to the next (Kohavi, Tang, Xu, "Trustworthy Online Controlled Experiments", 2020, ch. 4 and 14). Nothing is
stored, and a replay, another instance and a later analysis find the same.
"""

from hashlib import blake2b

import msgspec

from schemas.decision import AGAIN, Assignment
from schemas.policy import AS_EVER, Arm, Experiment, Policy, Treatment
from schemas.vocabulary import Tier

_BITS = 53
"""Of a hash, as many as a float keeps exactly."""


def place(salt: str, unit: str) -> float:
    """Where `unit` stands in [0, 1) for what `salt` names.

    >>> round(place("holdout", "acme/u1"), 3), round(place("layer default", "acme/u1"), 3)
    (0.21, 0.289)
    """
    digest = blake2b(f"{salt}\n{unit}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 64 - _BITS) / (1 << _BITS)


def held_out(policy: Policy, key: str) -> bool:
    """Whether the user `key` (`tenant/user_id`) is never written to. A larger holdout keeps who is in it.

    >>> [held_out(Policy(holdout=share), "acme/u1") for share in (0.0, 0.2, 0.3)]
    [False, False, True]
    """
    return place("holdout", key) < policy.holdout


def assign(
    policy: Policy, key: str, decision_id: str, tier: Tier, plan: str
) -> tuple[tuple[Assignment, ...], Treatment]:
    """The arms of the user `key` at the crossing `decision_id` to `tier`, and what they change, all together.

    Where two layers would change the same, the experiment that is named later does. A crossing that is put
    off keeps its arms.

    >>> arms = (Arm(name="none", weight=0.5, treatment=Treatment(offer="")), Arm(name="as_ever", weight=0.5))
    >>> policy = Policy(experiments=(Experiment(name="offers", arms=arms),))
    >>> assigned, treatment = assign(policy, "acme/u1", "d1", Tier.HIGH, "pro")
    >>> assigned[0].arm, assigned[0].propensity, treatment.offer
    ('none', 0.5, '')
    """
    assigned: list[Assignment] = []
    changed = AS_EVER
    for experiment in policy.experiments:
        if experiment.tiers and tier not in experiment.tiers:
            continue
        if not experiment.begin <= place(f"layer {experiment.layer}", key) < experiment.end:
            continue
        unit = decision_id.partition(AGAIN)[0] if experiment.per_decision else key
        arm, propensity = _arm(experiment, unit, tier, plan)
        assigned.append(Assignment(experiment=experiment.name, arm=arm.name, propensity=propensity))
        changed = _both(changed, arm.treatment)
    return tuple(assigned), changed


def _arm(experiment: Experiment, unit: str, tier: Tier, plan: str) -> tuple[Arm, float]:
    weights = experiment.weights(tier, plan)
    at, reached = place(f"experiment {experiment.name}", unit), 0.0
    for arm, weight in zip(experiment.arms, weights, strict=True):
        reached += weight
        if weight and at < reached:
            return arm, weight
    last = max(i for i, weight in enumerate(weights) if weight)  # rounding may leave a gap below 1
    return experiment.arms[last], weights[last]


def _both(first: Treatment, second: Treatment) -> Treatment:
    stated = {
        name: value
        for name in Treatment.__struct_fields__
        if (value := getattr(second, name)) not in (None, False)
    }
    return msgspec.structs.replace(first, **stated)
