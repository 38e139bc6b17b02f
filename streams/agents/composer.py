"""One crossing to one decision, where no draft was at hand: a script in the time left, or the next rung.

The deadline is the crossing's detection + the budget - the margin kept for publishing. It is absolute, so
a crossing that waited (after an outage, say) is still composed, from what is ready, and its timing tells.
In a replay with composing, detection is likewise the moment at which the stream reached the crossing.
"""

from collections.abc import Callable

from inference.client import seed_of
from operators import templates
from operators.ladder import NOT_TRIED, Exhausted, Taken, settle
from schemas.decision import Crossing, Decision, Script, Timing
from schemas.errors import DeadlineExceeded, HoldfastError
from schemas.profile import Profile
from schemas.vocabulary import Rung
from streams.agents.author import Author, Model, now_ms
from streams.agents.pace import Pace
from streams.agents.prompter import Prompter, Written, told
from streams.agents.segments import Segments
from streams.flow import decision


class Composer:
    """Composes decisions; may work on several at once. The model writes `at_once` scripts in parallel."""

    def __init__(
        self,
        *,
        author: Author,
        model: Model,
        segments: Segments,
        prompter: Prompter,
        budget_ms: float,
        publish_margin_ms: float,
        at_once: int = 1,
        clock: Callable[[], float] = now_ms,
    ) -> None:
        self._author = author
        self._model = model
        self._segments = segments
        self._prompter = prompter
        self._time_ms = budget_ms - publish_margin_ms
        self._clock = clock
        self._pace = Pace()
        self._at_once = at_once
        self._under_way = 0

    async def compose(self, crossing: Crossing) -> Decision:
        """The decision on `crossing`. Neither Redis nor the model is needed for it."""
        steps = _Steps(self._clock, crossing.detected_ms)
        if crossing.risk is not None:
            steps.end("assess", crossing.risk.assessed_ms)
        steps.end("queue")
        user = await self._author.read(crossing)
        steps.end("read")
        profile = self._author.profile(crossing, user)
        steps.end("features")
        only = self._author.only_rung(crossing)
        if only in (None, Rung.LIVE):
            live = await self._live(profile, crossing, crossing.detected_ms + self._time_ms)
        else:
            live = HoldfastError(NOT_TRIED)
        steps.end("model")
        segment = self._segments.of(profile, crossing.key) if only in (None, Rung.SEGMENT) else None
        own = self._author.text(profile)
        settled = settle(
            profile,
            [
                (Rung.LIVE, live.made.text if isinstance(live, Written) else live),
                (Rung.DRAFT, HoldfastError(crossing.no_draft or NOT_TRIED)),
                (Rung.SEGMENT, HoldfastError("none is ready") if segment is None else segment.made.text),
                (Rung.TEMPLATE, own.template),
            ],
            only,
        )
        published_ms = steps.end("settle")
        written = {Rung.LIVE: live if isinstance(live, Written) else None, Rung.SEGMENT: segment}
        held_by = None if crossing.ruling is None else crossing.ruling.held_by
        script = None
        if isinstance(settled, Exhausted):
            held_by = settled.held_by
        else:
            script = _script(settled, profile, written.get(settled.rung), own.version, published_ms)
        return decision(
            crossing,
            held_by,
            reason=profile.reason,
            script=script,
            fallbacks=settled.fallbacks,
            timing=Timing(detected_ms=crossing.detected_ms, steps=steps.taken_ms, published_ms=published_ms),
        )

    async def warm_up(self, within_ms: float = 10_000) -> None:
        """Have one script written for nobody, so that the first user does not wait for it.

        Raises:
            GenerationError, UnavailableError: as the model does.
        """
        asked = self._prompter.ask(self._author.nobody(), self._model.version_for(""))
        await self._model.generate(asked.text, self._clock() + within_ms)

    async def _live(
        self, profile: Profile, crossing: Crossing, deadline_ms: float
    ) -> Written | HoldfastError:
        begun_ms = self._clock()
        left_ms = deadline_ms - begun_ms
        if left_ms <= 0:
            return DeadlineExceeded(f"not asked: the deadline passed {-left_ms:.0f} ms before")
        # Who crosses at the same instant comes at once: calls that wait for each other would all be late.
        turn = 1 + self._under_way // self._at_once
        expected_ms = turn * self._pace.expected_ms
        if not self._pace.fits(left_ms, turn):
            return DeadlineExceeded(f"not asked: {left_ms:.0f} ms left, and it takes up to {expected_ms:.0f}")
        asked = self._prompter.ask(profile, self._model.version_for(crossing.key))
        self._under_way += 1
        try:
            made = await self._model.generate(
                asked.text, deadline_ms, crossing.key, seed=seed_of(crossing.id)
            )
        except DeadlineExceeded as error:
            self._pace.gave_up_after((self._clock() - begun_ms) / turn)
            return error
        except HoldfastError as error:
            return error
        finally:
            self._under_way -= 1
        now_ms = self._clock()
        self._pace.took((now_ms - begun_ms) / turn)
        return Written(made, now_ms, asked.examples)


class _Steps:
    """A stopwatch: how long each step took, in ms."""

    def __init__(self, clock: Callable[[], float], begun_ms: float) -> None:
        self._clock = clock
        self._last_ms = begun_ms
        self.taken_ms: dict[str, float] = {}

    def end(self, step: str, at_ms: float | None = None) -> float:
        """The step ends now, or ended at `at_ms`; the time, epoch ms."""
        now = self._clock() if at_ms is None else at_ms
        self.taken_ms[step] = round(now - self._last_ms, 3)
        self._last_ms = now
        return now


def _script(
    taken: Taken,
    profile: Profile,
    written: Written | None,
    version: str,
    published_ms: float,
) -> Script:
    """The script with its author: the model that has `written` it, or people, in that `version`."""
    model, age_ms = templates.MODEL, 0.0
    if written is not None:
        model, version = written.made.model, written.made.model_version
        age_ms = published_ms - written.written_ms
    return Script(
        text=taken.text,
        template=taken.template,
        locale=profile.locale,
        rung=taken.rung,
        model=model,
        model_version=version,
        age_ms=round(age_ms, 3),
        told=told(profile, written),
    )
