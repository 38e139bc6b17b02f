"""The arms, as rules: nobody is told here how customers respond."""

from collections.abc import Iterable

from benchmarks.simulation.parameters import OFFERS, TENANT
from operators.experiment import assign
from schemas.policy import Arm, Cap, Experiment, Policy, QuietHours, Rules, Treatment
from schemas.vocabulary import STRATEGIES, TIERS, Rung, Strategy, Tier

ARMS = ("none", "template", "random", "holdfast")
"""Nothing; people's words with the tier's own strategy and offer; chance; what the learner has found best."""
CHOICES = tuple((strategy, offer) for strategy in STRATEGIES for offer in OFFERS)
"""Strategy and offer, among which `random` and `holdfast` choose at each decision."""


def choice_name(strategy: Strategy, offer: str) -> str:
    """The name of a choice, as an arm."""
    return f"{strategy}.{offer or 'nothing'}"


OWN = 0.8
"""Before anything is learned."""
CHOICE_NAMES = tuple(choice_name(*choice) for choice in CHOICES)


def rules(
    version: str, since: int, weights: dict[str, tuple[float, ...]] | None = None, arms: Iterable[str] = ARMS
) -> Rules:
    """A realistic policy, under which `arms` share the users evenly.

    `weights` are those of `holdfast` by context; without any it mostly does what the tier wants, and tries
    everything else alike.
    """
    named, share = tuple(arms), 1 / len(tuple(arms))
    experiments = []
    for number, name in enumerate(named):
        begin, end = number * share, 1.0 if number == len(named) - 1 else (number + 1) * share
        experiments.append(_experiment(name, begin, end, weights))
    policy = Policy(
        caps=(Cap(scripts=1, days=1), Cap(scripts=3, days=7)),
        quiet_hours=QuietHours(begin="21:00", end="08:00"),
        cooldown_days=3,
        experiments=tuple(experiments),
    )
    return Rules(version=version, since=since, tenants={TENANT: policy})


def _experiment(
    name: str, begin: float, end: float, weights: dict[str, tuple[float, ...]] | None
) -> Experiment:
    even = 1 / len(CHOICES)
    match name:
        case "none":
            arms: tuple[Arm, ...] = (Arm(name="none", weight=1.0, treatment=Treatment(hold=True)),)
        case "template":
            arms = (Arm(name="template", weight=1.0, treatment=Treatment(rung=Rung.TEMPLATE)),)
        case _:
            arms = tuple(
                Arm(name=label, weight=even, treatment=Treatment(strategy=strategy, offer=offer))
                for label, (strategy, offer) in zip(CHOICE_NAMES, CHOICES, strict=True)
            )
    contexts = (weights or {t.value: first_weights(t) for t in TIERS}) if name == "holdfast" else {}
    return Experiment(
        name=name, begin=begin, end=end, per_decision=len(arms) > 1, arms=arms, by_context=contexts
    )


def first_weights(tier: Tier) -> tuple[float, ...]:
    """`OWN` for the tier's own strategy with the offer that people gave it, the rest for all alike."""
    own = {
        Strategy.PREVENTIVE_CARE: "",
        Strategy.RECOMMEND_FEATURE: "tour",
        Strategy.SOLVE_PAIN_POINT: "session",
        Strategy.RETENTION_OFFER: "discount",
        Strategy.URGENT_INTERVENTION: "month",
    }
    even = (1 - OWN) / len(CHOICES)
    weights = [even + OWN * (choice == (tier.strategy, own[tier.strategy])) for choice in CHOICES]
    return tuple(weights)


def arm_of(key: str, policy: Policy) -> str:
    """The arm of the user `key`, which no crossing changes."""
    assigned, _ = assign(policy, key, "any", Tier.LOW, "free")
    return assigned[0].experiment
