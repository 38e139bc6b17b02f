"""One run of a course against a running stack, and the figures of it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from statistics import quantiles
from typing import Any, TypeVar

import msgspec

from benchmarks.machine import machine
from benchmarks.report import Behind, Drafts, Report
from benchmarks.scenario import TENANTS, Course
from benchmarks.sender import Sender
from benchmarks.stalls import Stalls
from benchmarks.tally import Tally
from benchmarks.usage import Usage
from benchmarks.watch import Saboteur, Watch
from schemas.decision import Draft, DraftRequest
from schemas.topics import DRAFT_REQUESTS, DRAFTS, Topic
from schemas.vocabulary import Rung
from streams.commands.output import progress
from streams.consumer import Record, reading
from streams.drive import Drive, Load
from streams.embedded import Stack
from streams.settings import Settings
from streams.truth import untrue

_HISTORY_S, _HISTORY_S_PER_USER = 25, 0.025
"""What it takes until the stream has read the users' history, generously: the load comes after it."""
_UNDECLINING = 50
_PER_EVENT = ("sieve", "flink", "sequences", "redis")
Kind = TypeVar("Kind")


class Run:
    """One course against a running stack."""

    def __init__(self, stack: Stack, course: Course) -> None:
        users = len(course.declines_s) + _UNDECLINING
        self._settings, self._course = stack.settings, course
        self._load = Load(
            users=users,
            declines_s=course.declines_s,
            tenants=course.tenants,
            seconds=course.seconds,
            warm_up_s=course.warm_up_s,
            lead_s=round(_HISTORY_S + users * _HISTORY_S_PER_USER),
            seed=course.shape.seed,
            thin=True,
        )
        self._sender = Sender(stack.settings.bootstrap_servers, course.shape)
        self._drive = Drive(stack.settings, self._load, self._sender)
        self._tally, self._usage = Tally(), Usage(stack.settings.work_dir)
        self._watch = Watch(stack.settings.flink_port)
        self._stalls = Stalls()
        self._saboteur = None if course.outage is None else Saboteur(stack, course.outage)

    def report(self) -> Report:
        """Do it, and say what came out.

        Raises:
            HoldfastError: the stack does not take the events, or a part of it does not come back.
        """
        with progress() as shown:
            bar = shown.add_task("starting", total=None)
            live_s = int(self._load.warm_up_s + self._load.seconds)

            def on_stage(what: str, done: int, total: int | None) -> None:
                shown.update(bar, description=what, completed=done, total=total)

            def on_record(record: Record | None) -> None:
                if record is not None:
                    self._tally.take(record, self._drive.is_measured)
                    return
                self._look()
                now_ms = self._drive.now_ms()
                shown.update(
                    bar,
                    description="measuring" if self._drive.is_measured(now_ms) else "warming up",
                    completed=min(live_s, int((now_ms - self._drive.live_from_ms) / 1000)),
                    total=live_s,
                )

            self._drive.run(on_stage, on_record)
        self._usage.end()
        self._watch.stop()
        self._stalls.stop()
        if self._saboteur is not None:
            self._saboteur.join()
        return self._summary()

    def _look(self) -> None:
        """Between two looks at the decisions: begin and end what belongs to the measured time alone."""
        drive = self._drive
        if not self._watch.started:
            self._watch.start()
            self._stalls.start()
            if self._saboteur is not None:
                self._saboteur.start(drive.live_from_ms)
        begin_ms, end_ms = drive.measured_ms
        if drive.now_ms() >= begin_ms:
            self._usage.begin()
        if drive.now_ms() >= end_ms:
            self._usage.end()

    def _summary(self) -> Report:
        settings, drive, tally, usage = self._settings, self._drive, self._tally, self._usage
        assert drive.population is not None and self._sender.done is not None  # the run has ended
        begin_ms, _ = drive.measured_ms
        publications = tally.publications()
        boundary = tally.boundary()
        total = publications.total()
        written = list(_published(settings, DRAFTS, Draft))
        agreement = tally.agreement(plan for plan in drive.population.plans if drive.is_measured(plan.at))
        sending = self._sender.done
        first, last = int(self._course.warm_up_s), int(self._course.warm_up_s + self._course.seconds)
        events = sum(sending.by_second[first:last])
        disturbed_ms = self._disturbed_ms()
        stalls = [stall for stall in self._stalls.found if drive.is_measured(stall.at_ms)]
        apart = tally.apart(TENANTS[0], disturbed_ms) if self._course.tenants else {}
        cpu_s = usage.cpu_s()
        return Report(
            scenario=self._course.scenario,
            total=total,
            by_rung=publications.by_rung(),
            steps=publications.steps(),
            boundary=boundary.summary(),
            phases=tally.phases(disturbed_ms),
            tenants=apart,
            others_within=apart["others"]["during"].published.p99_ms <= settings.budget_ms if apart else None,
            disturbed_s=None
            if disturbed_ms is None
            else ((disturbed_ms[0] - begin_ms) / 1000, (disturbed_ms[1] - begin_ms) / 1000),
            budget_ms=settings.budget_ms,
            within_budget=tally.within(settings.budget_ms),
            stalls=stalls,
            over_while_stalled=tally.stalled(settings.budget_ms, stalls),
            crossings=agreement,
            equal=agreement.equal,
            drafts=self._drafts({one.id: one for one in written if one.rung is Rung.DRAFT}.values()),
            untrue=list(untrue((one.decision for one in tally.taken.values()), written)),
            events_sent=events,
            load=sending,
            behind=self._behind(),
            cores=usage.cores(),
            cpu_s_per_million=sum(cpu_s.get(name, 0.0) for name in _PER_EVENT) / max(1, events) * 1e6,
            histograms={"total": publications.encoded(), "boundary": boundary.encoded()},
            over_time=tally.by_second(begin_ms),
            samples=self._watch.samples,
            checkpoints=self._watch.checkpoints,
            measured_from_ms=int(begin_ms),
            history_s=drive.history_s,
            parameters=self._parameters(),
            machine=machine(),
        )

    def _disturbed_ms(self) -> tuple[float, float] | None:
        """When something was different (epoch ms): until the component served again, where one was away."""
        if self._saboteur is not None and self._saboteur.away_ms is not None:
            return self._saboteur.away_ms
        if self._course.disturbed_s is None:
            return None
        begin_s, end_s = self._course.disturbed_s
        return self._drive.live_from_ms + begin_s * 1000, self._drive.live_from_ms + end_s * 1000

    def _drafts(self, written: Iterable[Draft]) -> Drafts:
        measured = self._tally.taken.keys()
        ahead_s = [(draft.at - draft.written_ms) / 1000 for draft in written if draft.id in measured]
        percentiles = quantiles(ahead_s, n=100) if len(ahead_s) > 1 else None
        requests = list(_published(self._settings, DRAFT_REQUESTS, DraftRequest))
        asked = {request.crossing.id for request in requests}
        of_second = Counter(
            request.asked_at // 1000 for request in requests if self._drive.is_measured(request.asked_at)
        )
        decisions = [one.decision for one in self._tally.taken.values()]
        scripts = [decision.script for decision in decisions if decision.script is not None]
        used = sum(script.rung is Rung.DRAFT for script in scripts)
        return Drafts(
            asked=len(asked & measured),
            written=len(ahead_s),
            used=used,
            share=used / max(1, len(scripts)),
            wasted_per_used=(len(ahead_s) - used) / max(1, used),
            ahead_p50_s=None if percentiles is None else percentiles[49],
            ahead_p1_s=None if percentiles is None else percentiles[0],
            asked_per_s=of_second.total() / self._course.seconds,
            asked_max_per_s=max(of_second.values(), default=0),
        )

    def _behind(self) -> Behind | None:
        begin_ms, _ = self._drive.measured_ms
        samples = [sample for sample in self._watch.samples if sample.at_ms >= begin_ms]
        if not samples:
            return None
        return Behind(
            records_at_end=samples[-1].behind,
            records_max=max(sample.behind for sample in samples),
            watermark_at_end_ms=samples[-1].watermark_ms,
            watermark_max_ms=max(sample.watermark_ms for sample in samples),
        )

    def _parameters(self) -> dict[str, Any]:
        course, settings = self._course, self._settings
        named: dict[str, Any] = msgspec.to_builtins(course.shape)
        return named | {
            "seconds": course.seconds,
            "warm_up_s": course.warm_up_s,
            "decliners": len(course.declines_s),
            "outage": msgspec.to_builtins(course.outage),
            "draft_lead_ms": settings.draft_lead_ms,
            "parallelism": settings.parallelism,
            "checkpoint_interval_ms": settings.checkpoint_interval_ms,
        }


def _published(settings: Settings, topic: Topic, kind: type[Kind]) -> Iterator[Kind]:
    decoder = msgspec.json.Decoder(kind)
    with reading(settings.bootstrap_servers, topic) as reader:
        for record in reader.present():
            yield decoder.decode(record.value or b"")
