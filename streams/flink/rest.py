"""What a running Flink job says about itself over its REST port."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from msgspec import Struct

from schemas.errors import UnavailableError

KEYED_OPERATOR = "lives"
OFFERS_OPERATOR = "offers"
RULES_HEARD_METRIC, RULES_VERSIONS_METRIC = "rulesHeardMs", "rulesVersions"
"""Of the keyed operator: when (epoch ms) it was certain of the rules, and how many versions it knows."""
_TIMEOUT_S = 5.0
_POLL_S = 0.5
_FETCH_S = 0.5
"""Flink hands out the metrics that it had fetched before, and fetches them anew when it is asked."""
_CAUSE = "Caused by: "
_NO_STATE = "Could not restore"
_LAG_METRIC = "KafkaConsumer.records-lag-max"  # `pendingRecords` stays 0 with several partitions
_HEAP_METRIC = "Status.JVM.Memory.Heap.Used"
_SAVEPOINTS = "savepoint-*/_metadata"


def last_cause(stacktrace: str) -> str:
    """What a Java stack trace says of the first thing that went wrong, in one line.

    >>> last_cause("java.lang.Exception: no\\n\\tat A\\nCaused by: java.io.EOFException\\n\\tat B\\n")
    'java.io.EOFException'
    """
    lines = stacktrace.splitlines()
    causes = [line.removeprefix(_CAUSE) for line in lines if line.startswith(_CAUSE)]
    return (causes or lines or [""])[-1].strip()


class Task(Struct, frozen=True, kw_only=True):
    """A vertex of the job: operators that run as one. `state_bytes` is its part of the newest checkpoint."""

    name: str
    records_in: int
    state_bytes: int


class KnownRules(Struct, frozen=True):
    """The rules as the instance of the main job has them that is furthest behind.

    `silent_s` is how long ago it was last certain that there are no newer ones.
    """

    versions: int
    silent_s: float


class Rest:
    """The one job behind REST port `port` on this machine.

    Every method raises `UnavailableError` where Flink does not answer, or no job is there.
    """

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"

    def state(self) -> str:
        """Flink's word: `RUNNING`, `RESTARTING`, … ; `STARTING` until all its tasks run."""
        job = self._job()
        state, tasks = str(job["state"]), job["tasks"]
        return "STARTING" if state == "RUNNING" and tasks["running"] < tasks["total"] else state

    def watermark_ms(self, operator: str = KEYED_OPERATOR) -> int | None:
        """Event time (ms) up to which all instances of `operator` have done all there is to do.

        None until event time has begun there.
        """
        least = self._of_all("min", operator, "currentOutputWatermark").get("currentOutputWatermark")
        return least if least is not None and least > -(1 << 62) else None

    def refresh(self) -> None:
        """Have Flink fetch its metrics: what it hands out next is of now, and not of the last time."""
        self.watermark_ms()
        time.sleep(_FETCH_S)

    def rules(self) -> KnownRules | None:
        """The rules that the main job follows; None until it has read them, at its first record."""
        self.refresh()
        aggregates: tuple[Literal["min", "max"], ...] = ("min", "max")
        for aggregate in aggregates:  # an instance says 0 until it has had a record of its own
            found = self._of_all(aggregate, KEYED_OPERATOR, RULES_HEARD_METRIC, RULES_VERSIONS_METRIC)
            if found.get(RULES_HEARD_METRIC):
                break
        heard_ms, versions = found.get(RULES_HEARD_METRIC, 0), found.get(RULES_VERSIONS_METRIC, 0)
        silent_s = max(0.0, round(time.time() - heard_ms / 1000, 1))
        return KnownRules(versions, silent_s) if heard_ms else None

    def _of_all(self, aggregate: Literal["min", "max"], operator: str, *metrics: str) -> dict[str, int]:
        """Of each metric of `operator` that is known the least or the greatest of all its instances."""
        job, wanted = self._job()["jid"], [f"{operator}.{metric}" for metric in metrics]
        for vertex in self._get(f"/jobs/{job}")["vertices"]:
            path = f"/jobs/{job}/vertices/{vertex['id']}/subtasks/metrics"
            if set(wanted) <= {known["id"] for known in self._get(path)}:
                found = self._get(f"{path}?get={','.join(wanted)}&agg={aggregate}")
                return {
                    one["id"].rpartition(".")[2]: int(one[aggregate]) for one in found if aggregate in one
                }
        return {}

    def behind(self) -> int:
        """How many records the job has not read yet of the partition that is furthest behind."""
        job, behind = self._job()["jid"], 0
        for vertex in self._get(f"/jobs/{job}")["vertices"]:
            path = f"/jobs/{job}/vertices/{vertex['id']}/subtasks/metrics"
            names = [known["id"] for known in self._get(path) if known["id"].endswith(_LAG_METRIC)]
            found = self._get(f"{path}?get={','.join(names)}&agg=max") if names else ()
            # The consumer says NaN of a partition of which it has read nothing yet.
            behind = max([behind, *(int(lag) for metric in found if (lag := float(metric["max"])) > 0)])
        return behind

    def checkpoint(self) -> tuple[int, int] | None:
        """When (epoch ms) the newest complete checkpoint of this run was triggered, and its duration (ms)."""
        found = self._get(f"/jobs/{self._job()['jid']}/checkpoints")["latest"]["completed"]
        return None if found is None else (int(found["trigger_timestamp"]), int(found["end_to_end_duration"]))

    def checkpoint_triggered_ms(self) -> int | None:
        """When (epoch ms) the newest complete checkpoint of this run was triggered."""
        found = self.checkpoint()
        return None if found is None else found[0]

    def tasks(self) -> list[Task]:
        """The tasks, from the sources to the sink."""
        job = f"/jobs/{self._job()['jid']}"
        checkpoint = self._get(f"{job}/checkpoints")["latest"]["completed"]
        details = self._get(f"{job}/checkpoints/details/{checkpoint['id']}")["tasks"] if checkpoint else {}
        return [
            Task(
                name=vertex["name"],
                records_in=vertex["metrics"]["read-records"],
                state_bytes=details.get(vertex["id"], {}).get("state_size", 0),
            )
            for vertex in self._get(job)["vertices"]
        ]

    def heap_bytes(self) -> int:
        """What the heap of the task manager's JVM holds, garbage included; 0 as long as it is not known."""
        (manager,) = self._get("/taskmanagers")["taskmanagers"]
        found = self._get(f"/taskmanagers/{manager['id']}/metrics?get={_HEAP_METRIC}")
        return int(found[0]["value"]) if found else 0

    def restore_problem(self) -> str | None:
        """Why a task could not begin with the state of the checkpoint; None where all could."""
        found = self._get(f"/jobs/{self._job()['jid']}/exceptions")["exceptionHistory"]["entries"]
        return next((last_cause(one["stacktrace"]) for one in found if _NO_STATE in one["stacktrace"]), None)

    def stop_with_savepoint(self, target: Path, timeout_s: float) -> Path:
        """Ends the job with a savepoint in the folder `target`, which any state backend can read."""
        job, known = self._job()["jid"], set(target.glob(_SAVEPOINTS))
        wanted = {"targetDirectory": str(target.resolve()), "formatType": "CANONICAL", "drain": False}
        trigger = self._get(f"/jobs/{job}/stop", wanted)["request-id"]
        end = time.monotonic() + timeout_s
        while not (written := set(target.glob(_SAVEPOINTS)) - known):
            problem = self._savepoint_problem(f"/jobs/{job}/savepoints/{trigger}")
            if problem is None and time.monotonic() > end:
                problem = f"not within {timeout_s:g} s"
            if problem is not None:
                raise UnavailableError(f"the Flink job at {self._base} wrote no savepoint: {problem}")
            time.sleep(_POLL_S)
        return written.pop().parent

    def _savepoint_problem(self, path: str) -> str | None:
        with suppress(UnavailableError):  # Flink goes when the job has ended
            operation = self._get(path)["operation"] or {}  # none as long as it goes on
            if failure := operation.get("failure-cause"):
                return last_cause(failure["stack-trace"])
        return None

    def wait_running(self, timeout_s: float) -> None:
        """Waits until all tasks run."""
        self._wait(lambda: self.state() == "RUNNING", timeout_s, "run")

    def wait_watermark(self, ts: int, timeout_s: float) -> None:
        """Waits until every boundary up to `ts` (epoch ms) has been evaluated."""
        self._wait(lambda: (self.watermark_ms() or ts - 1) >= ts, timeout_s, f"reach event time {ts}")

    def wait_checkpoint_after(self, now_ms: float, timeout_s: float) -> None:
        """Waits for a checkpoint triggered after `now_ms` (epoch ms): all before it is published."""
        self._wait(lambda: (self.checkpoint_triggered_ms() or 0) > now_ms, timeout_s, "complete a checkpoint")

    def _wait(self, done: Callable[[], bool], timeout_s: float, what: str) -> None:
        end = time.monotonic() + timeout_s
        while True:
            try:
                if done():
                    return
                problem = ""
            except UnavailableError as error:
                problem = f": {error}"
            if time.monotonic() > end:
                raise UnavailableError(
                    f"the Flink job at {self._base} did not {what} in {timeout_s:g} s{problem}"
                )
            time.sleep(_POLL_S)

    def _job(self) -> dict[str, Any]:
        jobs = self._get("/jobs/overview")["jobs"]
        if not jobs:
            raise UnavailableError(f"Flink at {self._base} has no job yet")
        newest: dict[str, Any] = max(jobs, key=lambda job: job["start-time"])
        return newest

    def _get(self, path: str, wanted: dict[str, Any] | None = None) -> Any:
        """What Flink answers; `wanted` is posted where there is something to ask for."""
        body = None if wanted is None else json.dumps(wanted).encode()
        request = Request(self._base + path, body, {"Content-Type": "application/json"})
        try:
            with urlopen(request, timeout=_TIMEOUT_S) as answer:
                return json.load(answer)
        except HTTPError as error:
            error.close()
            raise UnavailableError(f"Flink at {self._base} answers {error.code} to {path}") from None
        except (OSError, HTTPException, ValueError) as error:
            raise UnavailableError(f"Flink at {self._base} does not answer: {error}") from error
