"""Files of events: JSONL and Parquet in the schema of events, and known datasets in their own columns."""

from streams.datasets.adapters import DATASETS, Columns
from streams.datasets.answers import Answers, read_answers
from streams.datasets.reader import read_columns, read_events

__all__ = ["DATASETS", "Answers", "Columns", "read_answers", "read_columns", "read_events"]
