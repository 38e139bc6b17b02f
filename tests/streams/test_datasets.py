"""Files of events: what comes out of each kind, and what is said of one that cannot be read."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import json as pa_json

from schemas.codec import encode, parse
from schemas.errors import InputError, RejectedEvent
from schemas.events import Account, Event, Login, Replay, Support, Tick, Usage
from streams.datasets import DATASETS, read_answers, read_events

DAY_MS = 86_400_000
T = 1_700_000_000_000


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def events_of(path: Path, dataset: str | None = None) -> list[Event | Tick]:
    return [parse(value) for value in read_events(path, dataset)]


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


# ---- JSONL ----


def test_lines_pass_untouched_and_in_order_so_that_bad_ones_reach_the_dead_letters(tmp_path: Path) -> None:
    lines = [
        b'{"ts": 2}',
        b"not JSON",
        b"\xff\xfe",
        b'  {"ts": 1}\r',
        b'{"text": "' + b"x" * 2_000_000 + b'"}',
    ]
    (tmp_path / "events.jsonl").write_bytes(b"\n".join([lines[0], b"", *lines[1:]]))
    assert list(read_events(tmp_path / "events.jsonl")) == lines


def test_an_empty_file_has_no_events(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    assert list(read_events(tmp_path / "empty.jsonl")) == []


# ---- Parquet in the schema of events ----


def test_a_column_is_a_field_and_null_is_absent(tmp_path: Path) -> None:
    events: list[Event] = [
        Usage(event_id="e1", tenant="acme", user_id="u1", ts=T + 5, feature="export", outcome="error"),
        Login(event_id="e2", tenant="acme", user_id="小明/1", ts=T, replay=Replay(until=T)),
        Support(event_id="e3", tenant="acme", user_id="u1", ts=T, text="你好", lang="zh"),
        Account(event_id="e4", tenant="acme", user_id="u1", ts=T, name="Ann", contact=("email", "sms")),
    ]
    (tmp_path / "e.jsonl").write_bytes(b"\n".join(map(encode, events)))
    pq.write_table(pa_json.read_json(tmp_path / "e.jsonl"), tmp_path / "e.parquet")
    assert events_of(tmp_path / "e.parquet") == events


def test_times_may_be_timestamps_and_without_a_zone_they_are_utc(tmp_path: Path) -> None:
    names = {"event_id": ["e"], "tenant": ["acme"], "user_id": ["u"], "kind": ["login"]}
    when = datetime(2023, 11, 14, 22, 13, 20, 999)
    for ts in (when, when.replace(tzinfo=UTC)):
        (event,) = events_of(parquet(tmp_path / "e.parquet", **names, ts=[ts]))
        assert event.ts == T


def test_a_row_that_is_no_event_is_passed_on_like_a_line(tmp_path: Path) -> None:
    names = {"tenant": ["a/b"], "user_id": ["u"], "ts": [T], "kind": ["login"]}
    (value,) = read_events(parquet(tmp_path / "e.parquet", event_id=["e"], **names))
    with pytest.raises(RejectedEvent, match="tenant: must be"):
        parse(value)


# ---- datasets ----


def whatwg(path: Path, **changes: Any) -> Path:
    columns = {
        "ts": pa.array(
            [utc(2006, 12, 1, 10, 26)] * 2 + [utc(2006, 11, 30)] * 4, pa.timestamp("us", tz="UTC")
        ),
        "seq": pa.array([7, 6, 1, 2, 3, 4], pa.int32()),
        "user": pa.array(["b", "a", "a", "a", "b", "b"], pa.large_string()),
        "kind": pa.array(["message", "action", "join", "part", "nick", "quit"]).dictionary_encode(),
        "len": pa.array([1, 2, 0, 0, 0, 0], pa.int32()),
    }
    return parquet(
        path, **{name: column for name, column in (columns | changes).items() if column is not None}
    )


def test_whatwg_joins_are_logins_and_messages_usage_in_the_order_of_time(tmp_path: Path) -> None:
    def who(user: str, event_id: str) -> dict[str, Any]:
        day, _, _ = event_id.rpartition("-")
        ts = 1_164_968_760_000 if day == "2006-12-01" else 1_164_844_800_000
        return {"event_id": event_id, "tenant": "whatwg", "user_id": user, "ts": ts}

    assert events_of(whatwg(tmp_path / "w.parquet")) == [
        Login(**who("a", "2006-11-30-1"), channel="room"),
        Login(**who("a", "2006-11-30-2"), channel="room", action="logout"),
        Usage(**who("b", "2006-11-30-3"), feature="nick"),
        Login(**who("b", "2006-11-30-4"), channel="server", action="logout"),
        Usage(**who("a", "2006-12-01-6"), feature="action"),
        Usage(**who("b", "2006-12-01-7"), feature="message"),
    ]


def test_a_chat_of_messages_alone_is_usage(tmp_path: Path) -> None:
    found = events_of(whatwg(tmp_path / "w.parquet", kind=None))
    assert len(found) == 6
    for event in found:
        assert isinstance(event, Usage)
        assert (event.tenant, event.feature) == ("messages", "message")


def udacity(path: Path, **changes: Any) -> Path:
    columns = {
        "account_key": [2, 1, 1],
        "utc_date": pa.array([datetime(2015, 1, 9)] * 2 + [datetime(2015, 1, 8)], pa.timestamp("us")),
        "num_courses_visited": [1, 1, 0],
        "total_minutes_visited": [11.6793745, 0.0, 0.0],
        "lessons_completed": [3, 0, 0],
        "projects_completed": [0, 1, 0],
    }
    return parquet(path, **(columns | changes))


def test_udacity_days_are_usage_at_their_noon_and_idle_days_nothing(tmp_path: Path) -> None:
    ts = 16_444 * DAY_MS + DAY_MS // 2
    assert events_of(udacity(tmp_path / "u.parquet")) == [
        Usage(event_id="1-2015-01-09-projects", tenant="udacity", user_id="1", ts=ts, feature="projects"),
        Usage(
            event_id="2-2015-01-09-minutes",
            tenant="udacity",
            user_id="2",
            ts=ts,
            feature="minutes",
            duration_ms=700_762,
        ),
        Usage(event_id="2-2015-01-09-lessons", tenant="udacity", user_id="2", ts=ts, feature="lessons"),
    ]


def days(*numbers: int) -> pa.Array:
    """Days of January 2022, as midnights."""
    return pa.array([datetime(2022, 1, number) for number in numbers], pa.timestamp("us"))


def noon(number: int) -> int:
    return (18_993 + number - 1) * DAY_MS + DAY_MS // 2


def ds365(path: Path) -> Path:
    return parquet(
        path,
        student_id=[7, 3],
        date_engaged=days(2, 1),
        engagement_quizzes=[0, 1],
        engagement_exams=[0, 0],
        engagement_lessons=[1, 1],
    )


def plays(path: Path) -> Path:
    return parquet(
        path, ts=[utc(2022, 1, 2), utc(2022, 1, 1, 12)], user=pa.array([5, 5], pa.int32()), score=[70, 0]
    )


def purchases(path: Path, *rows: tuple[int, str, int]) -> Path:
    user, plan, day = zip(*rows, strict=True)
    return parquet(path, student_id=user, purchase_type=plan, date_purchased=days(*day))


def test_a_day_of_courses_is_a_usage_for_each_thing_done(tmp_path: Path) -> None:
    who: dict[str, Any] = {"tenant": "ds365", "user_id": "3", "ts": noon(1)}
    assert events_of(ds365(tmp_path / "e.parquet")) == [
        Usage(event_id="3-2022-01-01-quizzes", feature="quizzes", **who),
        Usage(event_id="3-2022-01-01-lessons", feature="lessons", **who),
        Usage(
            event_id="7-2022-01-02-lessons",
            tenant="ds365",
            user_id="7",
            ts=noon(2),
            feature="lessons",
        ),
    ]
    path = parquet(tmp_path / "m.parquet", student_id=[3], date_watched=days(1), minutes_watched=[1.5])
    assert events_of(path) == [
        Usage(event_id="3-2022-01-01-minutes", feature="minutes", duration_ms=90_000, **who)
    ]


def test_who_became_a_customer_has_an_account_from_that_day_on(tmp_path: Path) -> None:
    for tenant, user, date in (
        ("udacity", "account_key", "join_date"),
        ("ds365", "student_id", "date_registered"),
    ):
        path = parquet(tmp_path / "a.parquet", **{user: [3], date: days(4)})
        assert events_of(path) == [
            Account(event_id="3-2022-01-04-account", tenant=tenant, user_id="3", ts=noon(4))
        ]


def test_a_purchase_is_an_account_as_old_as_the_first(tmp_path: Path) -> None:
    path = purchases(tmp_path / "p.parquet", (3, "Annual", 31), (3, "Monthly", 1))
    who: dict[str, Any] = {"tenant": "ds365", "user_id": "3"}
    assert events_of(path) == [
        Account(event_id="3-2022-01-01-monthly", ts=noon(1), plan="monthly", **who),
        Account(event_id="3-2022-01-31-annual", ts=noon(31), plan="annual", tenure_days=30, **who),
    ]


def test_a_game_is_a_usage_at_its_second(tmp_path: Path) -> None:
    first, second = noon(1), noon(1) + DAY_MS // 2
    who: dict[str, Any] = {"tenant": "plays", "user_id": "5", "feature": "play"}
    assert events_of(plays(tmp_path / "p.parquet")) == [
        Usage(event_id=f"5-{first}-0", ts=first, **who),
        Usage(event_id=f"5-{second}-70", ts=second, **who),
    ]


def test_ids_are_made_from_the_rows_alone(tmp_path: Path) -> None:
    for write in (whatwg, udacity, ds365, plays):
        path = write(tmp_path / "d.parquet")
        ids = [event.event_id for event in events_of(path) if not isinstance(event, Tick)]
        assert len(set(ids)) == len(ids)
        assert list(read_events(path)) == list(read_events(path))


def test_a_dataset_may_be_named(tmp_path: Path) -> None:
    path = whatwg(tmp_path / "w.parquet")
    assert {name.partition("_")[0] for name in DATASETS} == {
        "whatwg",
        "messages",
        "udacity",
        "ds365",
        "plays",
    }
    assert events_of(path, "whatwg") == events_of(path)


# ---- answers ----


def test_own_answers_are_taken_as_they_are(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", user=[1, 2], tau=days(3, 4), left=[True, False])
    found = read_answers(path)
    assert found.user.tolist() == ["1", "2"]
    assert found.tau_ms.tolist() == [noon(3) - DAY_MS // 2, noon(4) - DAY_MS // 2]
    assert found.left.tolist() == [True, False]


def test_a_contract_is_asked_about_each_week_until_it_is_cancelled(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "c.parquet",
        account_key=[1, 2, 3],
        join_date=pa.array(
            [datetime(2022, 1, 1), datetime(2022, 1, 1), datetime(2022, 2, 19)], pa.timestamp("us")
        ),
        cancel_date=pa.array([datetime(2022, 1, 25), None, None], pa.timestamp("us")),
    )
    found = read_answers(path)
    asked = list(
        zip(
            found.user.tolist(),
            ((found.tau_ms - noon(1)) / DAY_MS + 0.5).tolist(),
            found.left.tolist(),
            strict=True,
        )
    )
    assert [(day, left) for user, day, left in asked if user == "1"] == [(7, False), (14, True), (21, True)]
    # What is cancelled after the 19th of February, the last day that the file knows of, nobody can tell.
    assert [(day, left) for user, day, left in asked if user == "2"] == [
        (7, False), (14, False), (21, False), (28, False), (35, False)
    ]  # fmt: skip
    assert not [day for user, day, _ in asked if user == "3"]


def bought(path: Path, *rows: tuple[int, str, datetime]) -> Path:
    user, plan, when = zip(*rows, strict=True)
    return parquet(
        path, student_id=user, purchase_type=plan, date_purchased=pa.array(when, pa.timestamp("us"))
    )


def test_a_plan_of_a_month_is_asked_about_on_the_day_it_ends(tmp_path: Path) -> None:
    path = bought(
        tmp_path / "p.parquet",
        (1, "Monthly", datetime(2022, 1, 31)),
        (1, "Monthly", datetime(2022, 3, 7)),  # a week late
        (2, "Monthly", datetime(2022, 1, 10)),
        (2, "Annual", datetime(2022, 2, 18)),  # eight days late
        (3, "Monthly", datetime(2022, 1, 10)),
        (3, "Annual", datetime(2022, 1, 20)),  # long before the month was over
        (4, "Quarterly", datetime(2022, 1, 10)),
    )
    found = read_answers(path)
    days_later = ((found.tau_ms - noon(31)) / DAY_MS + 0.5).tolist()
    assert list(zip(found.user.tolist(), days_later, found.left.tolist(), strict=True)) == [
        ("1", 28, False),  # the last of February
        ("2", 10, True),
    ]


def test_a_file_without_answers_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"d\.parquet has no answers: expected the columns of one of user, tau"
    ):
        read_answers(ds365(tmp_path / "d.parquet"))
    with pytest.raises(InputError, match=r"p\.parquet has no answers: nobody in it is known"):
        read_answers(purchases(tmp_path / "p.parquet", (1, "Annual", 1)))
    with pytest.raises(InputError, match=r"cannot read .*none\.parquet"):
        read_answers(tmp_path / "none.parquet")
    early = parquet(tmp_path / "a.parquet", user=[1], tau=days(3), left=pa.array([None], pa.bool_()))
    with pytest.raises(InputError, match=r"column left of .* is empty in row 1"):
        read_answers(early)


# ---- what cannot be read ----


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*nothing\.jsonl: No such file"):
        read_events(tmp_path / "nothing.jsonl")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{}", "is not a Parquet file"), (b"PAR1 and no more", "cannot read"), (b"", "is not a Parquet file")],
)
def test_a_file_that_is_no_parquet_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "e.parquet").write_bytes(content)
    with pytest.raises(InputError, match=rf"{message}.*|.*e\.parquet"):
        read_events(tmp_path / "e.parquet")


def test_unknown_columns_and_datasets_are_named(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", event_id=["e"], ts=[T])
    with pytest.raises(InputError, match=r"x\.parquet has no column tenant, user_id, kind"):
        read_events(path)
    with pytest.raises(InputError, match=r"x\.parquet has no column seq, which the dataset whatwg needs"):
        read_events(path, "whatwg")
    with pytest.raises(InputError, match="unknown dataset acme, expected one of whatwg, messages, udacity"):
        read_events(path, "acme")
    (tmp_path / "e.jsonl").write_bytes(b"{}")
    with pytest.raises(InputError, match="the dataset whatwg is read from Parquet only"):
        read_events(tmp_path / "e.jsonl", "whatwg")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seq": pa.array([7, 6, None, 2, 3, 4])}, "column seq of .* is empty in row 3"),
        ({"seq": pa.array(["x"] * 6)}, "column seq of .* cannot be read as int64"),
        ({"ts": pa.array([1] * 6)}, "column ts of .* is not of timestamps"),
        (
            {"kind": pa.array(["join"] * 5 + ["leave"])},
            "column kind of .* has 'leave' in row 6, expected one of action",
        ),
    ],
)
def test_a_column_that_cannot_become_events_is_named(tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(read_events(whatwg(tmp_path / "w.parquet", **changes)))
