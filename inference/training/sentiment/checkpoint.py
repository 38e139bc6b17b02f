"""Any BERT checkpoint in a Hugging Face folder, as the model of sentiment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoTokenizer, BertForSequenceClassification, BertModel

from inference.labelled import CLASSES, class_of
from inference.sentiment import MOST_PIECES
from schemas.errors import InputError

_IMPOSSIBLE = -1e4
"""Log-odds of a class that a checkpoint does not know."""


class Judged(torch.nn.Module):
    """A checkpoint that classifies already, its outputs put in the order of `CLASSES`."""

    def __init__(self, model: BertForSequenceClassification, places: Mapping[int, int]) -> None:
        super().__init__()
        self.model = model
        self.places = dict(places)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits, shape [n, 3]."""
        found = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        never = torch.full_like(found[:, :1], _IMPOSSIBLE)
        columns = {is_class: found[:, [place]] for place, is_class in self.places.items()}
        return torch.cat([columns.get(is_class, never) for is_class in range(len(CLASSES))], dim=1)


def tokenizer_of(folder: Path) -> Tokenizer:
    """The checkpoint's tokenizer: from tokenizer.json, or vocab.txt with its configuration."""
    _config(folder)
    try:
        tokenizer: Tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{folder}: no tokenizer: {str(error).splitlines()[0]}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(min(MOST_PIECES, _config(folder).max_position_embeddings))
    return tokenizer


def encoder_of(folder: Path) -> BertModel:
    """The checkpoint's encoder, to be fine-tuned; a head that it may have is left.

    Raises:
        InputError: the folder holds no BERT.
    """
    _config(folder)
    return _loaded(BertModel, folder, add_pooling_layer=False)


def judge_of(folder: Path) -> Judged:
    """The checkpoint as it classifies. Its labels are named as in files (`negative`, `pos`, …), or not at all
    (`LABEL_0`, …): then two are negative and positive, and three have neutral between them.

    Raises:
        InputError: the folder holds no BERT that classifies, or its labels are others.
    """
    config = _config(folder)
    if "BertForSequenceClassification" not in (config.architectures or []):
        raise InputError(f"{folder}: the checkpoint does not classify yet: give files to fine-tune it on")
    labels = config.id2label
    unnamed = all(name == f"LABEL_{at}" for at, name in labels.items())
    order = {2: {0: 0, 1: 2}, 3: {0: 0, 1: 1, 2: 2}}.get(len(labels), {}) if unnamed else {}
    places = order or {at: found for at, name in labels.items() if (found := class_of(name)) is not None}
    if len(set(places.values())) != len(labels) or not {0, 2} <= set(places.values()):
        raise InputError(
            f"{folder}/config.json: id2label has {', '.join(labels.values())}; "
            "known are negative, neutral, positive"
        )
    return Judged(_loaded(BertForSequenceClassification, folder), places)


def _config(folder: Path) -> AutoConfig:
    try:
        found = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: no checkpoint: {str(error).splitlines()[0]}") from error
    if found.model_type != "bert":
        raise InputError(f"{folder}/config.json: model_type is {found.model_type}, not bert")
    return found


def _loaded(kind: Any, folder: Path, **options: bool) -> torch.nn.Module:
    try:
        return kind.from_pretrained(folder, local_files_only=True, **options)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: no weights: {str(error).splitlines()[0]}") from error
