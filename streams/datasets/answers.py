"""What came of users, where that is not silence but a contract: when each is judged, and whether they left.

A file of answers is Parquet, in one of these forms, told by its columns. Days stand at their noon, as in
`streams.datasets.adapters`, and moments of judgement (`tau`) at midnights, all UTC.

- `user, tau, left`: your own answers, one a row.
- `account_key, join_date, cancel_date` (`udacity`): contracts that can be cancelled any day. Each is asked
  about every week as long as it runs: is it cancelled within the next 14 days?
- `student_id, purchase_type, date_purchased` (`ds365`): purchases of plans. Each of a month is asked about
  once, at the day it ends: is there no further purchase up to a week later? Who bought again more than three
  days before that day is not asked about.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.errors import InputError
from streams.datasets.adapters import DAY_MS, Table

CANCEL_DAYS, WEEK_DAYS = 14, 7
GRACE_DAYS, EARLY_DAYS = 7, 3
_NEVER_MS = int(np.iinfo(np.int64).max)
_OWN = ("user", "tau", "left")
_CONTRACTS = ("account_key", "join_date", "cancel_date")
_PURCHASES = ("student_id", "purchase_type", "date_purchased")


class Answers(NamedTuple):
    """One a row: the user, the moment (epoch ms) from which on it is asked, and whether they left."""

    user: NDArray[np.object_]
    tau_ms: NDArray[np.int64]
    left: NDArray[np.bool_]


def read_answers(path: Path) -> Answers:
    """The answers in `path`.

    Raises:
        InputError: the file cannot be read, has other columns or no answers, or a value in it is wrong.
    """
    readers = {_OWN: _own, _CONTRACTS: _contracts, _PURCHASES: _purchases}
    try:
        file = pq.ParquetFile(path)
        for columns, read in readers.items():
            if set(file.schema_arrow.names).issuperset(columns):
                found = read(Table(path, file, columns))
                break
        else:
            forms = "; ".join(", ".join(columns) for columns in readers)
            raise InputError(f"{path} has no answers: expected the columns of one of {forms}")
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if not len(found.user):
        raise InputError(f"{path} has no answers: nobody in it is known to have left or stayed")
    return found


def _own(table: Table) -> Answers:
    return Answers(table.names("user"), table.times_ms("tau"), table.integers("left") != 0)


def _contracts(table: Table) -> Answers:
    user, begin_ms = table.names("account_key"), table.noons_ms("join_date")
    end_ms = table.noons_ms("cancel_date", empty_ms=_NEVER_MS)
    known_ms = int(max(begin_ms.max(initial=0), end_ms[end_ms < _NEVER_MS].max(initial=0)))
    first_ms = int(begin_ms.min(initial=known_ms)) // DAY_MS * DAY_MS
    tau_ms = np.arange(first_ms, known_ms - CANCEL_DAYS * DAY_MS, WEEK_DAYS * DAY_MS)
    contract, at = np.nonzero((begin_ms[:, None] < tau_ms) & (end_ms[:, None] > tau_ms))
    left = end_ms[contract] <= tau_ms[at] + CANCEL_DAYS * DAY_MS
    return Answers(user[contract], tau_ms[at], left)


def _purchases(table: Table) -> Answers:
    user, plan, bought_ms = (
        table.names("student_id"),
        table.names("purchase_type"),
        table.noons_ms("date_purchased"),
    )
    order = np.lexsort((bought_ms, user))
    user, plan, bought_ms = user[order], plan[order], bought_ms[order]
    day = bought_ms.astype("datetime64[ms]").astype("datetime64[D]")
    month = day.astype("datetime64[M]")
    # The 31st of January ends a month with the last of February.
    last = (month + 2).astype("datetime64[D]") - 1
    tau_ms = np.minimum((month + 1).astype("datetime64[D]") + (day - month), last).astype(np.int64) * DAY_MS
    again_ms = np.full(len(user), _NEVER_MS)
    again_ms[:-1] = np.where(user[1:] == user[:-1], bought_ms[1:], _NEVER_MS)
    until_ms = tau_ms + (GRACE_DAYS + 1) * DAY_MS  # to the end of that day
    asked = (plan == "Monthly") & (again_ms > tau_ms - EARLY_DAYS * DAY_MS)
    asked &= (again_ms <= until_ms) | (until_ms <= bought_ms.max(initial=0))
    return Answers(user[asked], tau_ms[asked], again_ms[asked] > until_ms[asked])
