"""The validator as Flink calls it: whole batches of records, in the process that started the job."""

import pandas as pd
from pyflink.table import DataTypes
from pyflink.table.udf import udf

from streams.flow import Judged, Place
from streams.flow import judge as judge_one

RESULT = DataTypes.ROW(
    [
        DataTypes.FIELD("user", DataTypes.STRING()),
        DataTypes.FIELD("once", DataTypes.STRING()),
        DataTypes.FIELD("dead_letter", DataTypes.BYTES()),
    ]
)


@udf(result_type=RESULT, func_type="pandas")  # type: ignore[untyped-decorator]  # PyFlink has no types
def judge(
    topic: "pd.Series[str]",
    partition: "pd.Series[int]",
    offset: "pd.Series[int]",
    appended: "pd.Series[pd.Timestamp]",
    key: "pd.Series[bytes]",
    value: "pd.Series[bytes]",
) -> pd.DataFrame:
    """`streams.flow.judge` of each record."""
    append_ms = appended.dt.as_unit("ms").astype("int64")
    places = map(Place, topic.tolist(), partition.tolist(), offset.tolist(), append_ms.tolist())
    judged = [judge_one(*record) for record in zip(places, key.tolist(), value.tolist(), strict=True)]
    return pd.DataFrame(judged, columns=Judged._fields, dtype=object)
