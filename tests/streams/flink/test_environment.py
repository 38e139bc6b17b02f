"""From what a Flink job goes on."""

import os
from pathlib import Path

from streams.flink.environment import newest_checkpoint


def complete(folder: Path, at_s: int) -> Path:
    folder.mkdir(parents=True)
    metadata = folder / "_metadata"
    metadata.touch()
    os.utime(metadata, (at_s, at_s))
    return folder


def test_without_a_checkpoint_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None


def test_an_incomplete_checkpoint_does_not_count(tmp_path: Path) -> None:
    there = complete(tmp_path / "job" / "chk-1", at_s=1)
    (tmp_path / "job" / "chk-2").mkdir()
    assert newest_checkpoint(tmp_path) == there


def test_a_savepoint_counts_as_a_checkpoint_does(tmp_path: Path) -> None:
    complete(tmp_path / "job" / "chk-9", at_s=1)
    savepoint = complete(tmp_path / "savepoint-1", at_s=2)
    assert newest_checkpoint(tmp_path) == savepoint
    later = complete(tmp_path / "other" / "chk-1", at_s=3)
    assert newest_checkpoint(tmp_path) == later
