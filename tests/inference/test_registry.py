"""The registry: who gets which version, what a version must have, and a file that is never half written."""

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import registry
from inference.registry import LOOK_S, Canary, Fallen, Serving, Watch, fallen
from inference.tritonserver import MODEL_REPOSITORY
from schemas.errors import InputError

USERS = [f"acme/u{number}" for number in range(20_000)]
shares = st.floats(0.001, 0.999)
users = st.text(min_size=1)


def add(repository: Path, version: str, model: str = "risk", auc: float = 0.9) -> Path:
    """A complete version."""
    folder = repository / model / version
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"weights")
    (folder / "MODEL_CARD.md").write_text("# A model")
    metrics = {
        "promotion": {"auc": auc},
        "data": {"fingerprint": "sha256:1234"},
        "trained": "2026-01-31",
        "other": [1],
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    add(tmp_path, "1")
    return tmp_path


@given(users, shares, shares)
def test_who_is_in_a_canary_stays_in_it_as_it_grows(user: str, one: float, other: float) -> None:
    small, large = (
        Serving(promoted="1", canary=Canary("2", share)).version_for(user) for share in sorted((one, other))
    )
    assert not (small == "2" and large == "1")


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_a_canary_gets_its_share_of_the_users(share: float) -> None:
    serving = Serving(promoted="1", canary=Canary("2", share))
    got = sum(serving.version_for(user) == "2" for user in USERS) / len(USERS)
    deviation = (share * (1 - share) / len(USERS)) ** 0.5
    assert got == pytest.approx(share, abs=4 * deviation)


def test_each_canary_has_other_users() -> None:
    first, second = (Serving(promoted="1", canary=Canary(version, 0.1)) for version in "23")
    both = sum(first.version_for(u) == "2" and second.version_for(u) == "3" for u in USERS) / len(USERS)
    assert both == pytest.approx(0.01, abs=0.004)


@given(users)
def test_without_a_canary_all_get_the_promoted_version(user: str) -> None:
    assert Serving(promoted="7").version_for(user) == "7"


def test_nobody_in_particular_gets_the_promoted_version() -> None:
    assert Serving(promoted="1", canary=Canary("2", 0.999)).version_for("") == "1"


def test_a_folder_dropped_beside_the_first_version_serves_nobody(repository: Path) -> None:
    add(repository, "2")
    assert registry.promoted("risk", repository) == repository / "risk" / "1"


def test_what_was_written_is_read_again(repository: Path) -> None:
    serving = Serving(promoted="2", canary=Canary("3", 0.25), before=("1",), forced=("2",))
    registry.write(repository, "risk", serving)
    assert registry.read(repository, "risk") == serving
    assert json.loads((repository / "risk" / "serving.json").read_text()) == {
        "promoted": "2",
        "canary": {"version": "3", "share": 0.25},
        "before": ["1"],
        "forced": ["2"],
    }


def test_a_reader_never_sees_half_a_file(repository: Path) -> None:
    """A reader beside a writer that changes the file all the time finds one of the two whole."""
    both = [Serving(promoted="1", before=tuple(map(str, range(count)))) for count in (1, 5_000)]
    registry.write(repository, "risk", both[0])
    done = threading.Event()

    def write() -> None:
        for turn in range(200):
            registry.write(repository, "risk", both[turn % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    read = 0
    while not done.is_set():
        assert registry.read(repository, "risk") in both
        read += 1
    writer.join()
    assert read > 0


@pytest.mark.parametrize(
    "text", ["{", '{"promoted": 1}', '{"promoted":"1","canary":{"version":"2","share":1.5}}']
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(repository: Path, text: str) -> None:
    (repository / "risk" / "serving.json").write_text(text)
    with pytest.raises(InputError, match=r"serving\.json"):
        registry.read(repository, "risk")


def test_a_model_that_is_not_there_is_told_with_those_that_are(repository: Path) -> None:
    with pytest.raises(InputError, match=r"rsik is no model of .*: there is risk"):
        registry.read(repository, "rsik")


def test_a_watch_sees_a_change_within_its_interval_and_outlives_a_broken_file(
    repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now_s = 0.0
    watch = Watch(repository, "risk", clock_s=lambda: now_s)
    registry.write(repository, "risk", Serving(promoted="2"))
    now_s += LOOK_S
    assert watch.serving().promoted == "2"
    (repository / "risk" / "serving.json").write_text("{")
    now_s += LOOK_S
    assert watch.serving().promoted == "2"
    assert "serving.json" in caplog.text


def test_a_version_says_what_it_is(repository: Path) -> None:
    add(repository, "10", auc=0.95)
    add(repository, "2")
    (repository / "risk" / "notes").mkdir()
    found = registry.versions(repository, "risk")
    assert [one.version for one in found] == ["1", "2", "10"]
    newest = found[-1]
    assert (newest.figures, newest.fingerprint, newest.trained) == (
        {"auc": 0.95},
        "sha256:1234",
        "2026-01-31",
    )
    assert newest.card == repository / "risk" / "10" / "MODEL_CARD.md"
    assert newest.size_bytes == sum(file.stat().st_size for file in newest.folder.iterdir())
    assert newest.missing == ()


def test_a_version_says_what_it_lacks(repository: Path) -> None:
    without_card, without_metrics, without_figures = (add(repository, version) for version in "234")
    (without_card / "MODEL_CARD.md").unlink()
    (without_metrics / "metrics.json").write_text("[]")
    (without_figures / "metrics.json").write_text("{}")
    lacking = [one.missing for one in registry.versions(repository, "risk")]
    assert lacking == [
        (),
        ("MODEL_CARD.md",),
        ("metrics.json",),
        ("promotion in metrics.json", "data.fingerprint in metrics.json"),
    ]


def test_the_next_version_is_a_folder_that_is_not_there(repository: Path) -> None:
    add(repository, "9")
    assert registry.next_version(repository, "risk") == repository / "risk" / "10"
    assert registry.next_version(repository, "new") == repository / "new" / "1"


def test_what_has_fallen_is_named_however_little_it_is() -> None:
    old = {"auc": 0.9, "brier_skill": 0.2, "recall": 0.5}
    assert fallen({"auc": 0.9, "brier_skill": 0.3, "recall": 0.5}, old) == []
    assert fallen({"auc": 0.8999, "brier_skill": float("nan")}, old)[0] == Fallen("auc", 0.9, 0.8999)
    assert [one.figure for one in fallen({"auc": 0.91, "brier_skill": float("nan")}, old)] == [
        "brier_skill",
        "recall",
    ]


def test_every_model_of_this_project_is_complete_and_its_promoted_version_there() -> None:
    for model in registry.models(MODEL_REPOSITORY):
        found = {one.version: one for one in registry.versions(MODEL_REPOSITORY, model)}
        assert found[registry.promoted(model).name].missing == (), model


def test_a_version_that_is_not_there_is_told_with_those_that_are(repository: Path) -> None:
    add(repository, "2")
    with pytest.raises(InputError, match="risk has no version 3: there are 1, 2"):
        registry.version(repository, "risk", "3")
