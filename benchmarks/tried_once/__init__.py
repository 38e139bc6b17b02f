"""The scripts of what was tried once for the churn model, as they were run. FOLDER and DATA are in the environment.

python -m benchmarks.tried_once.signals; python -m benchmarks.tried_once.other_logs     # the rows, into FOLDER
python -m benchmarks.tried_once.learn "base" "a1 msgs copy" …   # all without a name; RANK=1 for "d2 ranks"
python -m benchmarks.tried_once.judge "base" "a1 msgs copy" …   # the figures, and the paired differences
python -m benchmarks.tried_once.networks                        # networks on one fold
"""
# ruff: noqa
# mypy: ignore-errors

import os

FOLDER, DATA = os.environ["FOLDER"], os.environ["DATA"]
