"""A recurrent network over a user's days, tried beside the trees for the churn model (docs/models.md)."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

HIDDEN = 48
EPOCHS, BATCH, RATE = 6, 512, 3e-3
SEED = 1

Days = NDArray[np.float32]
"""What happened on each of a user's days, the oldest first, shape [rows, days, channels]."""


class Network(nn.Module):
    """A GRU over the days; its last state, through one hidden layer, gives the log-odds to leave."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.recurrent = nn.GRU(channels, HIDDEN, batch_first=True)
        self.head = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(HIDDEN, HIDDEN), nn.GELU(), nn.Dropout(0.2), nn.Linear(HIDDEN, 1)
        )

    def forward(self, days: torch.Tensor) -> torch.Tensor:
        """Log-odds, shape [rows]."""
        return self.head(self.recurrent(days)[1][0])[:, 0]


def fit(
    days: Days, churned: NDArray[np.bool_], weight: NDArray[np.float64]
) -> Callable[[Days], NDArray[np.float64]]:
    """Trains on one thread and gives what tells the log-odds of other users' days."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    network = Network(days.shape[2])
    inputs, targets = torch.from_numpy(days), torch.from_numpy(churned.astype(np.float32))
    weights = torch.from_numpy(weight.astype(np.float32))
    steps = len(targets) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * steps + 1)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(targets))[: steps * BATCH].view(-1, BATCH):
            loss = nn.functional.binary_cross_entropy_with_logits(
                network(inputs[batch]), targets[batch], weight=weights[batch]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()

    @torch.no_grad()
    def answer(others: Days) -> NDArray[np.float64]:
        parts = torch.from_numpy(others).split(4096)
        return torch.cat([network(part) for part in parts]).numpy().astype(np.float64)

    return answer
