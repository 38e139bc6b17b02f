"""Generated traffic: users with habits of their own, some of whom fall silent in time to be seen falling.

For the demo and the benchmark. Everything follows from the seed. A tier changes at a pane boundary, and where
a user's boundaries lie follows from the id, so the ids of those who shall decline are searched: each of them
crosses one bound, from the tier above to the one below, at a boundary known beforehand.

A user keeps a habit of the same k hours every day, so that a week has exactly 7k active panes and activity is
100 percent. One who stops has, at a boundary one week after a habitual pane, exactly one active pane less
than at the boundary before; choosing how many habitual panes came after that one chooses the bound crossed.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, count
from random import Random

from msgspec import Struct

from schemas.codec import encode
from schemas.events import Account, Event, Login, Support, Usage
from schemas.vocabulary import TIERS, Locale, Tier
from streams.batch import PANE_MS, PHASE_STEP_MS, ExpectedDecision, boundary_ms, pane_of, phase_ms, recompute

TENANT = "acme"
HOURS_A_WEEK, HOURS_A_DAY = 168, 24
LAST_PHASE_STEP = 4095
HISTORY_DAYS = 38, 44
"""The shortest and the longest history: long enough that the 30 days of the window are full of habit."""
THIN_HISTORY_DAYS = 31, 32

_FEATURES = ("dashboard", "export", "report", "search", "share", "import", "automation", "api")
_PLANS = ("free", "pro", "team", "enterprise")
_SEATS = {"free": 1, "pro": 1, "team": 12, "enterprise": 240}
_NAMES = {
    Locale.EN: (
        "Ann Lee",
        "Ben Carter",
        "Chloe Martin",
        "David Stone",
        "Emma Clark",
        "Frank Moore",
        "Grace Hill",
    ),
    Locale.ZH: ("王芳", "李强", "张伟", "刘洋", "陈静", "杨帆", "赵敏"),
}
_ZONES = {
    Locale.EN: ("America/New_York", "Europe/London", "America/Los_Angeles"),
    Locale.ZH: ("Asia/Shanghai", "Asia/Singapore"),
}
_TAGS = {Locale.EN: ("en-US", "en-GB"), Locale.ZH: ("zh-CN", "zh-SG")}
_COMPLAINTS = {
    Locale.EN: ("The export fails again and again.", "Nobody answered my last message.", "This is too slow."),
    Locale.ZH: ("导出功能总是失败。", "上次的问题一直没有人回复。", "系统太慢了,影响工作。"),
}
_TROUBLES = ("none", "errors", "support", "feature")
"""What those who stop went through before: nothing, errors, complaints, or a feature that they gave up."""
_LAST_DAYS_MS = 5 * 86_400_000
_NEWCOMERS_SHARE = 0.2
_FLAT_TAIL = 1.1  # exponent of the power law of the users' shares of live events


class Persona(Struct, frozen=True, kw_only=True):
    """A generated user; the active panes of their history, and the tier at its end."""

    user_id: str
    locale: Locale
    tier: Tier
    panes: tuple[int, ...]
    trouble: str
    tenant: str = TENANT

    @property
    def key(self) -> str:
        """The user, `tenant/user_id`."""
        return f"{self.tenant}/{self.user_id}"


class Plan(Struct, frozen=True, kw_only=True):
    """A decline that the traffic leads to at the boundary `at` (epoch ms)."""

    user_id: str
    locale: Locale
    at: int
    from_tier: Tier
    to_tier: Tier
    tenant: str = TENANT

    @property
    def key(self) -> str:
        """The user, `tenant/user_id`."""
        return f"{self.tenant}/{self.user_id}"


class Population(Struct, frozen=True, kw_only=True):
    """The generated users, and which declines they have before them.

    Up to one hour after `now_ms` nobody changes tier but those in `plans`, which are in the order of time.
    """

    seed: int
    now_ms: int
    personas: tuple[Persona, ...]
    plans: tuple[Plan, ...]
    thin: bool = False
    """The history has one event for each active pane, which is all that the plans need."""

    def history(self) -> list[Event]:
        """All that happened up to `now_ms`, in the order of time."""
        events = chain.from_iterable(_Diary(self, persona).events() for persona in self.personas)
        return sorted(events, key=lambda event: (event.ts, event.event_id))

    def live(self, rate_per_s: float, start_ms: int, seconds: float) -> Iterator[Event]:
        """Events at a constant rate, by those who keep to their habit and by newcomers.

        Few users make most of the events. Nobody who has stopped comes back, so the plans stand.
        """
        random = Random(f"{self.seed}/live/{start_ms}")
        steady = [p for p in self.personas if p.tier is Tier.VERY_LOW and p.trouble == "steady"]
        shares = list(accumulate((rank + 1) ** -_FLAT_TAIL for rank in range(len(steady))))
        newcomers = 10 * len(self.personas)
        for number in range(int(rate_per_s * seconds)):
            locale = random.choice(tuple(Locale))
            user_id = f"new-{self.seed}-{random.randrange(newcomers)}"
            if steady and random.random() >= _NEWCOMERS_SHARE:
                persona = random.choices(steady, cum_weights=shares)[0]
                user_id, locale = persona.user_id, persona.locale
            ts = start_ms + int(number * 1000 / rate_per_s)
            yield _event(random, f"live-{self.seed}-{start_ms}-{number}", user_id, ts, locale)

    def predict(self, until_ms: int, live: Iterable[Event] = ()) -> tuple[ExpectedDecision, ...]:
        """The decisions after `now_ms` and up to `until_ms` that the batch answer expects of this traffic."""
        batch = recompute(map(encode, chain(self.history(), live)), until_ms)
        return tuple(decision for decision in batch.decisions if decision.at > self.now_ms)


def spread(number: int, from_s: float, to_s: float) -> list[float]:
    """`number` times (s) spread evenly over the time between.

    >>> spread(2, 10, 20)
    [12.5, 17.5]
    """
    return [from_s + (i + 0.5) * (to_s - from_s) / number for i in range(number)]


def populate(
    users: int,
    now_ms: int,
    seed: int,
    *,
    declines_s: Sequence[float],
    tenants: Sequence[str] = (),
    thin: bool = False,
) -> Population:
    """`users` users, of whom one crosses a bound at each of `declines_s`, seconds after `now_ms`.

    The crossings go over the four bounds and both locales in turn, but each comes up to 0.9 s late, as
    phases have that distance (none lies in the last 4.6 s of an hour). Of the other users a half are
    steady; the rest have stopped before, in every tier. `thin` makes a history that is cheap to send: who
    declines had a habit of one hour a day, and each active pane has one event. `tenants` names the tenant of
    each decline; else all are of one.

    Raises:
        ValueError: more decline than there are, or not within an hour after `now_ms`.
    """
    if len(declines_s) > users:
        raise ValueError(f"{len(declines_s)} of {users} users cannot decline")
    if any(not 0 < at_s <= PANE_MS / 1000 for at_s in declines_s):
        raise ValueError("declines must lie within the next hour, in which each user has one boundary")
    targets_ms = [int(now_ms + at_s * 1000) for at_s in declines_s]
    personas, plans = [], []
    tenants = tenants or [TENANT] * len(targets_ms)
    ids = _ids_ending_at(list(zip(tenants, targets_ms, strict=True)), seed)
    for number, (tenant, user_id) in enumerate(zip(tenants, ids, strict=True)):
        to_tier, locale = TIERS[1 + number % 4], tuple(Locale)[number // 4 % 2]
        persona, plan = _declining(tenant, user_id, locale, to_tier, now_ms, seed, thin)
        personas.append(persona)
        plans.append(plan)
    for number in range(users - len(declines_s)):
        tier = Tier.VERY_LOW if number % 2 else TIERS[1 + number // 2 % 4]
        personas.append(_resting(f"u-{seed}-r{number}", tuple(Locale)[number // 8 % 2], tier, now_ms, seed))
    plans.sort(key=lambda plan: (plan.at, plan.user_id))
    return Population(seed=seed, now_ms=now_ms, personas=tuple(personas), plans=tuple(plans), thin=thin)


def _ids_ending_at(targets_ms: list[tuple[str, int]], seed: int) -> list[str]:
    """For each tenant and time an id whose panes end then, or as soon after it as phases allow."""
    wanted: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, (tenant, target_ms) in enumerate(targets_ms):
        step = -(-(target_ms % PANE_MS) // PHASE_STEP_MS)
        wanted[tenant][step if step <= LAST_PHASE_STEP else 0].append(index)
    ids: list[str] = [""] * len(targets_ms)
    for number in count():
        if not wanted:
            return ids
        user_id = f"u-{seed}-{number}"
        for tenant, steps in wanted.items():
            step = phase_ms(f"{tenant}/{user_id}") // PHASE_STEP_MS
            if step in steps:
                ids[steps[step].pop()] = user_id
                if not steps[step]:
                    del steps[step]
                break  # no two tenants' users have the same id
        wanted = {tenant: steps for tenant, steps in wanted.items() if steps}
    raise AssertionError("unreachable: the numbers do not end")


def _declining(
    tenant: str, user_id: str, locale: Locale, to_tier: Tier, now_ms: int, seed: int, thin: bool
) -> tuple[Persona, Plan]:
    """A user whose next boundary takes them down to `to_tier`, and that decline."""
    random, phase = Random(f"{seed}/{user_id}"), phase_ms(f"{tenant}/{user_id}")
    pane = pane_of(now_ms, phase)
    hours = [pane % HOURS_A_DAY] if thin else _habit(random, with_hour=pane % HOURS_A_DAY)
    left = max(n for n in range(7 * len(hours)) if _tier(n, len(hours)).rank >= to_tier.rank)
    persona = Persona(
        user_id=user_id,
        locale=locale,
        tier=TIERS[to_tier.rank - 1],
        panes=_panes(random, pane, hours, left, THIN_HISTORY_DAYS if thin else HISTORY_DAYS),
        trouble=random.choice(_TROUBLES),
        tenant=tenant,
    )
    at = boundary_ms(pane, phase)
    return persona, Plan(
        user_id=user_id, locale=locale, at=at, from_tier=persona.tier, to_tier=to_tier, tenant=tenant
    )


def _resting(user_id: str, locale: Locale, tier: Tier, now_ms: int, seed: int) -> Persona:
    """A user who is in `tier` and stays there at the next boundary, active in its pane or not."""
    random = Random(f"{seed}/{user_id}")
    pane = pane_of(now_ms, phase_ms(f"{TENANT}/{user_id}"))
    hours = _habit(random, with_hour=random.randrange(HOURS_A_DAY))
    if tier is Tier.VERY_LOW:
        panes, trouble = _panes(random, pane, hours, HOURS_A_WEEK), "steady"
    else:
        # The pane that leaves the week at the next boundary must not be the one that counts.
        fit = [n for n in range(7 * len(hours)) if _tier(n, len(hours)) is _tier(n + 1, len(hours)) is tier]
        panes, trouble = _panes(random, pane, hours, fit[len(fit) // 2]), random.choice(_TROUBLES)
    return Persona(user_id=user_id, locale=locale, tier=tier, panes=panes, trouble=trouble)


def _habit(random: Random, with_hour: int) -> list[int]:
    """Three or four hours of the day within ten, `with_hour` among them."""
    begin = with_hour - random.randrange(10)
    others = [hour % HOURS_A_DAY for hour in range(begin, begin + 10) if hour != with_hour]
    return [with_hour, *random.sample(others, random.randint(2, 3))]


def _panes(
    random: Random, pane: int, hours: list[int], left: int, days: tuple[int, int] = HISTORY_DAYS
) -> tuple[int, ...]:
    """The habit kept for weeks, and of the last week before `pane` no more than the first `left` panes."""
    first = pane - random.randint(*days) * HOURS_A_DAY
    habit = [p for p in range(first, pane) if p % HOURS_A_DAY in hours]
    recent = [p for p in habit if p > pane - HOURS_A_WEEK]
    return tuple(habit[: len(habit) - len(recent)] + recent[:left])


def _tier(active: int, hours_a_day: int) -> Tier:
    """The tier of a user with that many active panes in a week and a habit of so many hours a day."""
    activity = 100 * (active / (7 * hours_a_day))
    return TIERS[(activity <= 90) + (activity < 60) + (activity < 30) + (activity < 10)]


class _Diary:
    """The events of one user's history: some for each active pane, with what went wrong towards its end."""

    def __init__(self, population: Population, persona: Persona) -> None:
        self._random = Random(f"{population.seed}/{persona.user_id}/diary")
        self._persona, self._now_ms, self._thin = persona, population.now_ms, population.thin
        self._phase = phase_ms(persona.key)
        self._begin_ms = self._start_of(persona.panes[0])
        self._trouble_from_ms = self._start_of(persona.panes[-1]) - _LAST_DAYS_MS
        self._numbers = count()

    def events(self) -> Iterator[Event]:
        random, persona = self._random, self._persona
        favourite, *others = random.sample(_FEATURES, 4)
        yield self._account()
        previous_day = -1
        for pane in persona.panes:
            start_ms = self._start_of(pane)
            troubled = start_ms >= self._trouble_from_ms
            events = 2 if self._thin else random.randint(2, 3)
            times_ms = sorted(random.sample(range(start_ms, start_ms + PANE_MS), events))
            if pane // HOURS_A_DAY != previous_day and not self._thin:
                yield Login(
                    event_id=self._id(), tenant=persona.tenant, user_id=persona.user_id, ts=times_ms[0],
                    channel=random.choice(("web", "mobile")),
                )  # fmt: skip
                previous_day = pane // HOURS_A_DAY
            for ts in times_ms[1:]:
                gave_up = troubled and persona.trouble == "feature"
                yield Usage(
                    event_id=self._id(),
                    tenant=persona.tenant,
                    user_id=persona.user_id,
                    ts=ts,
                    feature=random.choice(others if gave_up or random.random() < 0.4 else [favourite]),
                    duration_ms=random.randint(500, 600_000),
                    outcome="error" if random.random() < self._error_rate(troubled) else "ok",
                )
        yield from self._complaints()

    def _error_rate(self, troubled: bool) -> float:
        return 0.5 if troubled and self._persona.trouble == "errors" else 0.01

    def _complaints(self) -> Iterator[Event]:
        if self._persona.trouble != "support":
            return
        last_ms = self._start_of(self._persona.panes[-1]) + PANE_MS
        for text in self._random.sample(_COMPLAINTS[self._persona.locale], 2):
            ts = self._random.randint(last_ms - PANE_MS, min(last_ms, self._now_ms))
            yield _support(self._id(), self._persona.key, ts, text, self._persona.locale)

    def _account(self) -> Account:
        random, locale = self._random, self._persona.locale
        plan = random.choice(_PLANS)
        return Account(
            event_id=self._id(),
            tenant=self._persona.tenant,
            user_id=self._persona.user_id,
            ts=self._begin_ms,
            name=random.choice(_NAMES[locale]),
            plan=plan,
            seats=_SEATS[plan],
            tenure_days=random.randint(60, 900),
            locale=random.choice(_TAGS[locale]),
            time_zone=random.choice(_ZONES[locale]),
            contact=("email",),
        )

    def _start_of(self, pane: int) -> int:
        return boundary_ms(pane - 1, self._phase)

    def _id(self) -> str:
        return f"{self._persona.user_id}-{next(self._numbers)}"


def _event(random: Random, event_id: str, user_id: str, ts: int, locale: Locale) -> Event:
    """One live event: mostly usage, sometimes a login, seldom a message to customer service."""
    chance = random.random()
    if chance < 0.005:
        return _support(event_id, f"{TENANT}/{user_id}", ts, random.choice(_COMPLAINTS[locale]), locale)
    if chance < 0.1:
        return Login(event_id=event_id, tenant=TENANT, user_id=user_id, ts=ts)
    return Usage(
        event_id=event_id,
        tenant=TENANT,
        user_id=user_id,
        ts=ts,
        feature=random.choice(_FEATURES),
        duration_ms=random.randint(500, 600_000),
        outcome="error" if random.random() < 0.01 else "ok",
    )


def _support(event_id: str, key: str, ts: int, text: str, locale: Locale) -> Support:
    tenant, _, user_id = key.partition("/")
    return Support(event_id=event_id, tenant=tenant, user_id=user_id, ts=ts, text=text, lang=locale.value)
