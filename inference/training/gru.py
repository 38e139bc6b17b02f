"""A recurrent network over a user's events, tried beside the trees for the churn model (docs/models.md).

A row has the last `EVENTS` of a user's events, the newest last, in 2 × `EVENTS` + 1 numbers: of each what
it was (0 for none, on the left) and how many hours old it is, and the hour of the week at which it is asked.
What it was is `LOGIN`, `SIGN_OUT` (a logout by a channel to log in), `LOGOUT` (another), or more for a use.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

EVENTS = 96
KINDS = 16
LOGIN, SIGN_OUT, LOGOUT, USE = range(1, 5)
HIDDEN = 64
EPOCHS, BATCH, RATE = 8, 256, 4e-3
SEED = 1
_WEEK_HOURS = 168

Rows = NDArray[np.float32]


class Network(nn.Module):
    """A GRU over the events; its last and its mean state, through one hidden layer, give the log-odds."""

    def __init__(self) -> None:
        super().__init__()
        self.what = nn.Embedding(KINDS, 9)
        self.recurrent = nn.GRU(16, HIDDEN, batch_first=True)
        self.head = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(2 * HIDDEN, HIDDEN), nn.GELU(), nn.Dropout(0.2), nn.Linear(HIDDEN, 1)
        )

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Log-odds, shape [rows]."""
        what, age_h, now_h = rows[:, :EVENTS].long(), rows[:, EVENTS:-1], rows[:, -1:]
        many = max(1, int((what > 0).sum(dim=1).max()))
        what, age_h = what[:, -many:], age_h[:, -many:]
        is_event = (what > 0)[..., None]
        numbers = torch.cat([_times(age_h, now_h), _connections(what)[..., None]], dim=2) * is_event
        states = self.recurrent(torch.cat([numbers, self.what(what)], dim=2))[0]
        mean = (states * is_event).sum(dim=1) / is_event.sum(dim=1).clamp(min=1)
        return self.head(torch.cat([states[:, -1], mean], dim=1))[:, 0]


def _times(age_h: torch.Tensor, now_h: torch.Tensor) -> torch.Tensor:
    """Of each event the gap to the next one or now, its age, its hour of the day, weekend or not; and now."""
    gap_h = (age_h - torch.cat([age_h[:, 1:], torch.zeros_like(now_h)], dim=1)).clamp(min=0)
    hour = (now_h - age_h) % _WEEK_HOURS
    angle = hour * (2 * torch.pi / 24)
    return torch.stack(
        [
            torch.log1p(gap_h * 10) / 3 - 1,
            torch.log1p(age_h) / 3 - 1,
            angle.sin(),
            angle.cos(),
            (hour >= 5 * 24).float(),
            (now_h / (_WEEK_HOURS / 2) - 1).expand_as(age_h),
        ],
        dim=2,
    )


def _connections(what: torch.Tensor) -> torch.Tensor:
    """Half the connections that are open after each event, at most 2."""
    step = (what == LOGIN).float() - ((what == SIGN_OUT) | (what == LOGOUT)).float()
    total = step.cumsum(dim=1)
    return (total - total.cummin(dim=1).values.clamp(max=0)).clamp(max=4) / 2


def fit(
    rows: Rows, churned: NDArray[np.bool_], weight: NDArray[np.float64]
) -> Callable[[Rows], NDArray[np.float64]]:
    """Trains on one thread and gives what tells the log-odds of other users' rows."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    dice = np.random.default_rng(SEED)
    network = Network()
    inputs, targets = torch.from_numpy(rows), torch.from_numpy(churned.astype(np.float32))
    weights = torch.from_numpy(weight.astype(np.float32))
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-2)
    steps = EPOCHS * -(-len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.2)
    for _ in range(EPOCHS):
        for batch in _batches(rows, dice):
            loss = nn.functional.binary_cross_entropy_with_logits(
                network(inputs[batch]), targets[batch], weight=weights[batch]
            )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    network.eval()

    @torch.no_grad()
    def answer(others: Rows) -> NDArray[np.float64]:
        parts = torch.from_numpy(others).split(1024)
        return torch.cat([network(part) for part in parts]).numpy().astype(np.float64)

    return answer


def _batches(rows: Rows, dice: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """All rows, in batches of about equal length: the shorter cost less so."""
    many = (rows[:, :EVENTS] > 0).sum(axis=1) + dice.uniform(0, 6, len(rows))
    order = np.argsort(many)
    batches = [order[first : first + BATCH] for first in range(0, len(rows), BATCH)]
    for at in dice.permutation(len(batches)):
        yield batches[at]
