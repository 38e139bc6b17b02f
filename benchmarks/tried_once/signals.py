"""See the package."""

# ruff: noqa
# mypy: ignore-errors
from benchmarks.tried_once import DATA, FOLDER
import sys, time
import numpy as np
from pathlib import Path
from streams.risk.log import read_log, log_of, Log
from streams.datasets import read_columns
from streams.risk.training import examples_of
from operators.signals import Sequence, DAY_MS

D = Path(DATA)
OUT = Path(FOLDER)


def keep(log, mask):
    user = log.user[mask]
    return Log(
        log.users,
        np.searchsorted(user, np.arange(len(log.users) + 1)),
        Sequence(*(c[mask] for c in log.sequence[:6])),
    )


def shifted(log, hours):
    ts = log.sequence.ts_ms + hours[log.user] * 3_600_000
    return log._replace(sequence=log.sequence._replace(ts_ms=ts))


def save(name, log, every):
    t = time.process_time()
    e = examples_of(log, every_days=every)
    np.savez(OUT / f"{name}.npz", **e._asdict())
    print(
        name,
        len(e.user),
        e.churned.mean().round(3),
        e.is_hard.mean().round(3),
        e.churned[e.is_hard].mean().round(3),
        round(time.process_time() - t, 1),
        flush=True,
    )


def chat_path(name):
    return D / name


w = read_log(D / "whatwg_irc_events.parquet")
y = read_log(D / "yocto_irc_messages.parquet")
cols = read_columns(D / "whatwg_irc_events.parquet")
whats = [(m.act == "usage", m.what) for m in cols.meanings]
print(cols.meanings, whats)
dice = np.random.default_rng(5)
n = len(w.users)
user = w.user
s = w.sequence
names = {f: whats[f] for f in range(len(whats))}
is_msg = (s.kind == 2) & np.isin(
    s.feature, [i for i, x in enumerate(whats) if x in ((True, "message"), (True, "action"))]
)


def messages_only(log):
    k = keep(log, is_msg)
    return k._replace(sequence=k.sequence._replace(feature=np.zeros_like(k.sequence.feature)))


todo = sys.argv[1:]


def want(x):
    return (not todo) or x in todo


if want("W2"):
    save("W2", w, 2)
if want("Ww"):
    save("Ww", w, 7)
if want("Y2"):
    save("Y2", y, 2)
if want("Yw"):
    save("Yw", y, 7)
if want("Wm"):
    save("Wm", messages_only(w), 4)
    save("Wmw", messages_only(w), 7)
half = dice.random(n) < 0.5
if want("Wh"):
    save("Wh", keep(w, is_msg | ~half[user]), 4)
p = np.exp(dice.uniform(np.log(0.1), 0, n))
if want("Wt"):  # thinned messages, logins kept
    save("Wt", keep(w, (dice.random(len(user)) < p[user]) | (s.kind != 2)), 4)
if want("Yt"):
    py = np.exp(np.random.default_rng(6).uniform(np.log(0.1), 0, len(y.users)))
    save("Yt", keep(y, np.random.default_rng(7).random(len(y.user)) < py[y.user]), 4)
if want("Wp"):  # connections partly logged: each of logins/logouts is lost with a user's own rate
    q = np.random.default_rng(8).uniform(0, 0.6, n)
    save("Wp", keep(w, (np.random.default_rng(9).random(len(user)) >= q[user]) | (s.kind == 2)), 4)
if want("Wz"):
    save("Wz", shifted_sorted(w), 4) if False else None
    h = np.random.default_rng(10).integers(-11, 13, n)
    save("Wz", shifted(w, h), 4)
