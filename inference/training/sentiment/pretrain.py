"""Pre-training: the encoder learns to tell the pieces that are hidden from it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import BertForMaskedLM, BertModel

from inference.training.halfway import Progress
from inference.training.sentiment import loop
from inference.training.sentiment.meanings import vectors
from inference.training.sentiment.network import config
from inference.training.sentiment.vocabulary import MASK, PAD, SPECIAL, piece_id

EPOCHS = 2
RATE = 1.5e-3
_HIDDEN = 0.15


def hidden(batch: loop.Batch, vocabulary: int, mask_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids with 15 % of the pieces hidden, and where: of ten, eight masked, one exchanged, one left.

    The special pieces have the lowest ids, and stay.
    """
    chosen = (torch.rand(batch.ids.shape) < _HIDDEN) & (batch.ids >= len(SPECIAL))
    dice = torch.rand(batch.ids.shape)
    ids = batch.ids.masked_fill(chosen & (dice < 0.8), mask_id)
    others = torch.randint(len(SPECIAL), vocabulary, batch.ids.shape)
    return torch.where(chosen & (dice >= 0.9), others, ids), chosen


def encoder(
    tokenizer: Tokenizer,
    ids: Sequence[Sequence[int]],
    *,
    epochs: int,
    seed: int,
    checkpoint: Path,
    report: Callable[[Progress], None],
) -> tuple[BertModel, list[Progress]]:
    """An encoder that has read the texts `epochs` times, and its losses in nats a hidden piece."""
    vocabulary = tokenizer.get_vocab_size()
    pad, mask = (piece_id(tokenizer, piece) for piece in (PAD, MASK))
    torch.manual_seed(seed)
    model = BertForMaskedLM(config(vocabulary))
    pieces = model.bert.embeddings.word_embeddings.weight
    with torch.no_grad():
        pieces.copy_(vectors(ids, vocabulary, pieces.shape[1], seed))

    def loss_of(batch: loop.Batch) -> torch.Tensor:
        shown, chosen = hidden(batch, vocabulary, mask)
        states = model.bert(input_ids=shown, attention_mask=batch.mask).last_hidden_state
        # The head is the dearest part: it is asked only where there is something to tell.
        return functional.cross_entropy(model.cls(states[chosen]), batch.ids[chosen])

    reports = loop.fit(
        model,
        ids,
        loss_of,
        pad=pad,
        epochs=epochs,
        rate=RATE,
        seed=seed,
        checkpoint=checkpoint,
        report=report,
    )
    return model.bert, reports
