"""The sieve as a function of SQL: `sift` tells of each record whether it passes, and beside some a pack."""

import pandas as pd
from pyflink.table import DataTypes, StreamTableEnvironment
from pyflink.table.udf import FunctionContext, ScalarFunction, udf

from schemas.codec import encode
from streams.sieve import Sieve

_BUNDLE = 12_000
_OPTIONS = {
    # Event time waits for the bundle that is under way.
    "python.fn-execution.bundle.time": "50",
    "python.fn-execution.bundle.size": str(_BUNDLE),
    "python.fn-execution.arrow.batch.size": str(_BUNDLE),
}


class Sift(ScalarFunction):  # type: ignore[misc]  # PyFlink has no types
    """Has a sieve, which forgets with each restart of the job."""

    def is_deterministic(self) -> bool:
        """False: the planner must neither fold nor repeat a call that remembers."""
        return False

    def open(self, function_context: FunctionContext) -> None:
        """Called by Flink before the first record, and after a failure."""
        self._sieve = Sieve()

    def eval(
        self,
        keys: "pd.Series[bytes]",
        values: "pd.Series[bytes]",
        partitions: "pd.Series[int]",
        append_ms: "pd.Series[int]",
    ) -> pd.DataFrame:
        """Sifts records; each argument is one column of them."""
        sifted = self._sieve.sift(zip(keys, values, partitions, append_ms, strict=True))
        packs: list[bytes | None] = [encode(pack) for pack in sifted.packs]
        missing = len(sifted.passes) - len(packs)
        columns = {
            "passes": sifted.passes,
            "source": [self._sieve.id] * len(packs) + [None] * missing,
            "pack": packs + [None] * missing,
        }
        return pd.DataFrame(columns, index=keys.index)


def register(tables: StreamTableEnvironment) -> None:
    """Makes `sift(key, value, partition, append_ms)` known to SQL."""
    for option, value in _OPTIONS.items():
        tables.get_config().set(option, value)
    result = DataTypes.ROW(
        [
            DataTypes.FIELD("passes", DataTypes.BOOLEAN()),
            DataTypes.FIELD("source", DataTypes.BYTES()),
            DataTypes.FIELD("pack", DataTypes.BYTES()),
        ]
    )
    function = udf(Sift(), result_type=result, func_type="pandas", deterministic=False)
    tables.create_temporary_function("sift", function)
