"""See the package."""

# ruff: noqa
# mypy: ignore-errors
from benchmarks.tried_once import DATA, FOLDER
import numpy as np
from pathlib import Path
from streams.risk.log import read_log
import importlib.util, sys
import shutil, os

D = Path(DATA)
d = Path(f"{FOLDER}/ds365")
d.mkdir(exist_ok=True)
for f in ("engagement", "info"):
    t = d / f"ds365_student_{f}.parquet"
    if not t.exists():
        shutil.copy(D / f"ds365_student_{f}.parquet", t)
from streams.risk.training import examples_of

for n, p in (("S", d), ("D", D / "dtm_play_log.parquet")):
    log = read_log(p)
    for k, e in (("2", 2), ("w", 7)):
        x = examples_of(log, every_days=e)
        np.savez(f"{FOLDER}/{n}{k}.npz", **x._asdict())
        print(n, k, len(x.user), x.churned.mean(), flush=True)
