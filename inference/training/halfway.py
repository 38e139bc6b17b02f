"""Where a training stands, and how it goes on after it was interrupted."""

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch


class Progress(NamedTuple):
    """Where a training stands; `loss` is the mean since the last report, in nats."""

    step: int
    steps: int
    loss: float
    elapsed_s: float


class Part(Protocol):
    """A model, an optimizer, a schedule."""

    def state_dict(self) -> dict[str, Any]:
        """All that it is."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Becomes what another was."""
        ...


def save(checkpoint: Path, state: Any, *parts: Part) -> None:
    """Writes `state`, of plain values, and the parts; who reads meanwhile finds the checkpoint before."""
    written = checkpoint.with_suffix(".part")
    torch.save((state, [part.state_dict() for part in parts]), written)
    written.replace(checkpoint)


def resume(checkpoint: Path, *parts: Part) -> Any:
    """The state that was saved, and the parts as they were; None, and nothing done, without a checkpoint."""
    if not checkpoint.exists():
        return None
    state, kept = torch.load(checkpoint, weights_only=True)
    for part, one in zip(parts, kept, strict=True):
        part.load_state_dict(one)
    return state
