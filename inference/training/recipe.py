"""How a model is trained on: one TOML file for the small model and for GPT-OSS-20B alike."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from schemas.errors import InputError

FOLDER = Path(__file__).parent / "recipes"
"""The recipes of the project: `nano.toml` and `gpt-oss-20b.toml`."""

_Rate = Annotated[float, Meta(gt=0, lt=1)]
_Count = Annotated[int, Meta(ge=1)]


class BaseWeights(StrEnum):
    """Which of the base's own weights are trained beside the adapter."""

    ALL = "all"
    ATTENTION = "attention"
    FROZEN = "frozen"


class Adapter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A low-rank adapter: `alpha / rank` times the product of two matrices, beside each projection.

    Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, arXiv:2106.09685.
    """

    rank: _Count = 16
    alpha: _Count = 32
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    projections: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")


class Recipe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates are AdamW's, at their height; `batch` is in examples; `beta` is DPO's (see `dpo.py`)."""

    adapter: Adapter = Adapter()
    base_weights: BaseWeights
    base_rate: _Rate = 1e-6
    adapter_rate: _Rate = 1e-4
    steps: _Count = 500
    batch: _Count = 16
    seed: int = 7
    beta: Annotated[float, Meta(gt=0)] = 0.1


def path_of(name: str) -> Path:
    """The file of one of the project's own recipes, or else of the path that `name` is."""
    own = FOLDER / f"{name}.toml"
    return own if own.exists() else Path(name)


def read(path: Path) -> Recipe:
    """The recipe in `path`.

    Raises:
        InputError: the file cannot be read, or a field is unknown, missing or out of its bounds.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Recipe)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise InputError(f"the recipe {path} cannot be used: {error}") from error
