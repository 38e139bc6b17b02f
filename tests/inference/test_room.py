"""How much room a version has for examples: none unless it says so, and counted so that it is enough."""

import shutil
from pathlib import Path

import pytest

from inference.prompt import shown
from inference.room import FILE, TOKENIZER, Rooms, room
from inference.tritonserver import MODEL, MODEL_REPOSITORY
from schemas.errors import InputError
from schemas.vocabulary import Locale

GPT_OSS = MODEL_REPOSITORY.parent / "model_repository_gpt_oss"
TEXT = shown(Locale.ZH, ["{{name}}您好，欢迎回来。"])


def test_the_small_model_takes_no_examples_and_the_large_one_does() -> None:
    assert room(MODEL_REPOSITORY / MODEL / "1").tokens == 0
    assert room(GPT_OSS / MODEL / "1").tokens > 0


def test_without_a_tokenizer_each_byte_counts_and_with_one_its_tokens_do(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"example_tokens": 100}')
    assert room(tmp_path).count(TEXT) == len(TEXT.encode())
    shutil.copy(MODEL_REPOSITORY / MODEL / "1" / TOKENIZER, tmp_path)
    found = room(tmp_path)
    assert found.tokens == 100 and 0 < found.count(TEXT) < len(TEXT)


@pytest.mark.parametrize(
    "text", ["{", '{"example_tokens": -1}', '{"example_tokens": "many"}', '{"examples": 1}', "\xff"]
)
def test_a_file_that_says_something_else_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=FILE):
        room(tmp_path)


def test_a_tokenizer_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"example_tokens": 100}')
    (tmp_path / TOKENIZER).write_text("{}")
    with pytest.raises(InputError, match=TOKENIZER):
        room(tmp_path)


def test_what_cannot_be_used_while_it_serves_is_logged_once_and_takes_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / FILE).write_text("{")
    rooms = Rooms(tmp_path)
    assert [rooms(version).tokens for version in ("1", "2", "2")] == [0, 0, 0]
    assert caplog.text.count("version 2 is shown no examples") == 1
