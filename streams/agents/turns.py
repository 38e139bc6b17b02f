"""Whose turn it is: fair shares among tenants, and within a tenant the most urgent first.

Self-clocked fair queueing with equal shares (Golestani, "A self-clocked fair queueing scheme for broadband
applications", INFOCOM 1994): each turn of a tenant moves its tag on by one, the lowest tag is next, and a
tenant that comes back begins at the tag of whoever was served last. So a tenant with ten thousand waiting
delays another's next one by a single turn, and who was quiet has saved nothing up.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Items by tenant, taken in fair turns; within a tenant by urgency (lowest first), then by arrival.

    >>> queue = FairQueue()
    >>> for number in range(3):
    ...     queue.put("noisy", number, f"noisy {number}")
    >>> queue.put("quiet", 9, "quiet 9")
    >>> [queue.take() for _ in range(len(queue))]
    ['noisy 0', 'quiet 9', 'noisy 1', 'noisy 2']
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[tuple[float, int, Item]]] = {}
        self._tags: dict[str, int] = {}
        self._now = 0
        self._number = count()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def waiting(self, tenant: str) -> int:
        """How many items of `tenant` wait."""
        return len(self._waiting.get(tenant, ()))

    def put(self, tenant: str, urgency: float, item: Item) -> None:
        """Add an item."""
        if tenant not in self._waiting:
            self._waiting[tenant] = []
            self._tags[tenant] = self._now + 1
        heapq.heappush(self._waiting[tenant], (urgency, next(self._number), item))

    def take(self) -> Item:
        """Remove and give the item whose turn it is; of equal tenants the one that has waited longer.

        Raises:
            IndexError: there is none.
        """
        if not self._waiting:
            raise IndexError("nothing waits")
        tenant = min(self._waiting, key=self._tags.__getitem__)
        waiting, self._now = self._waiting[tenant], self._tags[tenant]
        item = heapq.heappop(waiting)[2]
        if waiting:
            self._tags[tenant] += 1
        else:
            del self._waiting[tenant], self._tags[tenant]
        return item


class Turns:
    """Lets so many in at once, in fair turns among tenants.

    >>> async def order():
    ...     turns, found = Turns(1), []
    ...     async def take(tenant, urgency):
    ...         async with turns.turn(tenant, urgency):
    ...             found.append(f"{tenant}{urgency}")
    ...             await asyncio.sleep(0)
    ...     await asyncio.gather(take("a", 3), take("a", 2), take("a", 1), take("b", 9))
    ...     return found
    >>> asyncio.run(order())
    ['a3', 'a1', 'b9', 'a2']
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    @asynccontextmanager
    async def turn(self, tenant: str, urgency: float = 0) -> AsyncIterator[None]:
        """Waits for a turn of `tenant`, whose lowest `urgency` is let in first."""
        if self._free:
            self._free -= 1
        else:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.put(tenant, urgency, turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # let in just as it was given up
                    self._pass_on()
                raise
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            turn = self._waiting.take()
            if not turn.done():  # cancelled while it waited
                turn.set_result(None)
                return
        self._free += 1
