"""A fintech's transactions as events, and what is wrong with a file, by column and row."""

from pathlib import Path

import pytest

from schemas.codec import parse
from schemas.errors import InputError
from schemas.events import Login, Support, Usage
from streams.datasets import read_events

EXAMPLE = Path("docs/examples/tenants/transactions.jsonl")
HEAD = "tenant,id,customer,time,type,status,text\n"


def csv_of(folder: Path, text: str) -> Path:
    path = folder / "t.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_transactions_are_use_of_a_feature_and_service_records_messages() -> None:
    login, transfer, check, service = map(parse, read_events(EXAMPLE, "transactions"))
    assert isinstance(login, Login) and login.ts == 1_767_576_600_000
    assert isinstance(transfer, Usage) and (transfer.feature, transfer.outcome) == ("transfer", "ok")
    assert isinstance(check, Usage) and (check.feature, check.outcome) == ("identity_check", "error")
    assert isinstance(service, Support) and service.lang == "zh" and service.key == "ledgerline/c-1002"


def test_json_lines_say_the_same_where_the_dataset_is_named_and_come_in_the_order_of_time(
    tmp_path: Path,
) -> None:
    path = tmp_path / "t.jsonl"
    row = '{"tenant":"l","id":"%s","customer":"c1","time":"%s","type":"transfer","status":"failed"}\n'
    path.write_text(row % ("b", "2026-01-05T09:30:00+08:00") + row % ("a", "2026-01-05T01:29:59"))
    first, second = map(parse, read_events(path, "transactions"))
    assert isinstance(first, Usage) and isinstance(second, Usage)
    assert (first.event_id, second.event_id, first.outcome) == ("a", "b", "error")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tenant,id,customer,time,type\n", "has no column status: expected tenant, id, customer, time"),
        (
            HEAD + "l,t1,c1,yesterday,transfer,ok,\n",
            "column time of .* has 'yesterday' in row 1, expected an",
        ),
        (HEAD + "l,t1,c1,2026-01-05,transfer,pending,\n", "column status of .* has 'pending' in row 1"),
        (HEAD + "l,t1,,2026-01-05,transfer,ok,\n", "column customer of .* is empty in row 1, expected text"),
        (HEAD + "l,t1,c 1,2026-01-05,transfer,ok,\n", "column customer of .* has 'c 1' in row 1"),
        (HEAD + "l,t1,c1,2026-01-05,service,ok,\n", "column text of .* is empty in row 1, expected what the"),
    ],
)
def test_what_is_wrong_is_named_by_column_and_row(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        list(read_events(csv_of(tmp_path, text)))


def test_what_is_no_json_is_named_by_its_row(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("\nnonsense\n")
    with pytest.raises(InputError, match=r"row 1 of .* is no JSON object"):
        list(read_events(path, "transactions"))
