"""The arms, as rules: nobody is told here how customers respond."""

from benchmarks.simulation.parameters import OFFERS, TENANT
from inference.bandit import Worth
from operators.experiment import assign, held_out
from schemas.policy import Arm, Cap, Experiment, Policy, QuietHours, Rules, Treatment
from schemas.vocabulary import STRATEGIES, TIERS, Rung, Strategy, Tier
from streams.learning import Order

NONE = "none"
"""No action: the holdout, as any tenant may keep one."""
ARMS = (NONE, "template", "random", "holdfast")
"""Nothing; people's words with the tier's own strategy and offer; chance; what the product learns."""
CHOICES = (
    *((strategy, "") for strategy in STRATEGIES),
    *((Strategy.RETENTION_OFFER, offer) for offer in OFFERS if offer),
)
"""Strategy and offer, among which `random` and `holdfast` choose at each decision.

People's words make an offer in retention's texts alone, so only there is one tried.
"""
LEARNS = "holdfast"
"""The experiment whose weights are learned."""
ORDER = Order(
    tenant=TENANT,
    experiment=LEARNS,
    floor=0.005,
    worth=Worth(complaint=1.0),
    window_days=3,
    simulated=True,
)
"""How `holdfast bandit update` is asked for them, each week."""
OWN = 0.8
"""Share of `holdfast`'s decisions, before anything is learned, that get what the tier wants."""


def choice_name(strategy: Strategy, offer: str) -> str:
    """The name of a choice, as an arm."""
    return f"{strategy}.{offer or 'nothing'}"


CHOICE_NAMES = tuple(choice_name(*choice) for choice in CHOICES)


def rules(version: str, since: int, arms: tuple[str, ...] = ARMS) -> Rules:
    """A realistic policy, under which `arms` share the users evenly; nothing has been learned yet."""
    tried = [name for name in arms if name != NONE]
    experiments = tuple(
        _experiment(name, number / len(tried), (number + 1) / len(tried)) for number, name in enumerate(tried)
    )
    policy = Policy(
        caps=(Cap(scripts=1, days=1), Cap(scripts=3, days=7)),
        quiet_hours=QuietHours(begin="21:00", end="08:00"),
        cooldown_days=3,
        holdout=1 / len(arms) if NONE in arms else 0.0,
        experiments=experiments,
    )
    return Rules(version=version, since=since, tenants={TENANT: policy})


def _experiment(name: str, begin: float, end: float) -> Experiment:
    if name == "template":
        only = Arm(name=name, weight=1.0, treatment=Treatment(rung=Rung.TEMPLATE))
        return Experiment(name=name, begin=begin, end=end, arms=(only,))
    even = 1 / len(CHOICES)
    choices = tuple(
        Arm(name=label, weight=even, treatment=Treatment(strategy=strategy, offer=offer))
        for label, (strategy, offer) in zip(CHOICE_NAMES, CHOICES, strict=True)
    )
    contexts = {tier.value: first_weights(tier) for tier in TIERS} if name == LEARNS else {}
    return Experiment(name=name, begin=begin, end=end, per_decision=True, arms=choices, by_context=contexts)


def own_choice(tier: Tier) -> tuple[Strategy, str]:
    """The tier's own strategy, with the offer where it is retention's: what people's templates do."""
    return tier.strategy, "discount" if tier.strategy is Strategy.RETENTION_OFFER else ""


def first_weights(tier: Tier) -> tuple[float, ...]:
    """`OWN` for the tier's own choice, the rest for all alike."""
    even = (1 - OWN) / len(CHOICES)
    return tuple(even + OWN * (choice == own_choice(tier)) for choice in CHOICES)


def arm_of(key: str, policy: Policy) -> str:
    """The arm of the user `key`, which no crossing changes."""
    if held_out(policy, key):
        return NONE
    assigned, _ = assign(policy, key, "any", Tier.LOW, "free")
    return assigned[0].experiment
