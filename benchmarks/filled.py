"""What a store held, empty and after each stage of filling it, and the figures that follow from that."""

from enum import StrEnum

from msgspec import Struct


class Store(StrEnum):
    """What is filled: Flink's state on the heap, in RocksDB, or the sequences in Redis."""

    HASHMAP = "hashmap"
    ROCKSDB = "rocksdb"
    REDIS = "redis"


FIRST, SAME, SECOND = "first pane", "same pane", "second pane"
"""Stages of one event of each user: in a pane, in it again (the sieve keeps that back), in another."""


def stages(store: Store) -> tuple[str, ...]:
    """The stages of filling `store`. RocksDB, the slowest, tells users and panes apart after one of each."""
    return (FIRST, SAME) if store is Store.ROCKSDB else (FIRST, SAME, SECOND)


class Stage(Struct, frozen=True, kw_only=True):
    """What the store held after a stage, and what the stage took. Zero is what the store has not."""

    name: str
    seconds: float = 0.0
    cpu_s: dict[str, float] = {}
    """Processor time by component."""
    heap_bytes: int = 0
    users_bytes: int = 0
    """In Flink's newest checkpoint: windows, tiers and timers."""
    checkpoint_bytes: int = 0
    """The checkpoint's files, on disk."""
    working_bytes: int = 0
    """RocksDB's own files, on disk."""
    redis_bytes: int = 0
    broker_bytes: int = 0


class Filled(Struct, frozen=True, kw_only=True):
    """One store: the empty stage, then its `stages`."""

    store: Store
    users: int
    stages: tuple[Stage, ...]

    @property
    def checked(self) -> Stage:
        """The stage after which a checkpoint was looked at."""
        return max(self.stages, key=lambda stage: stage.users_bytes)

    def figures(self) -> dict[str, float]:
        """By name: bytes of a user, a pane and an event; rates; processor seconds a million events."""
        done = self.stages[1:]
        return (
            self._sizes()
            | {
                f"{stage.name}, broker, bytes an event": self.added("broker_bytes", number)
                for number, stage in enumerate(done, start=1)
            }
            | {f"{stage.name}, events a second": self.users / stage.seconds for stage in done}
            | {
                f"{stage.name}, {component}, CPU-s a million events": cpu_s / self.users * 1e6
                for stage in done
                for component, cpu_s in stage.cpu_s.items()
            }
        )

    def _sizes(self) -> dict[str, float]:
        if self.store is Store.REDIS:
            event = self.added("redis_bytes", 3)
            return {
                "Redis, bytes a user": self.added("redis_bytes", 1) - event,
                "Redis, bytes an event": event,
            }
        checked = self.checked
        found = {
            "checkpoint, bytes a user": checked.users_bytes / self.users,
            "checkpoint on disk, bytes a user with these": checked.checkpoint_bytes / self.users,
        }
        if self.store is Store.ROCKSDB:
            return found | {"working files, bytes a user with these": checked.working_bytes / self.users}
        return found | {"heap, bytes a user": self.added("heap_bytes", 1)}

    def added(self, what: str, stage: int) -> float:
        """What the stage, counted from 1, added to the field `what`, for each user."""
        before, after = self.stages[stage - 1], self.stages[stage]
        return float(getattr(after, what) - getattr(before, what)) / self.users
