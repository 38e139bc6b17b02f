"""Fine-tuning: the encoder learns what people said of the texts, all files together."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import BertModel

from inference.training.halfway import Progress
from inference.training.sentiment import loop
from inference.training.sentiment.network import Classifier
from inference.training.sentiment.pretrain import hidden
from inference.training.sentiment.vocabulary import MASK, PAD, piece_id

EPOCHS = 3
RATE = 5e-4
RATE_OF_CHECKPOINT = 3e-5
"""For an encoder that was pre-trained at length elsewhere, as Devlin et al. (2019) did."""
_SMOOTHING = 0.05


def classifier(
    encoder: BertModel,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    classes: NDArray[np.int64],
    *,
    epochs: int,
    rate: float,
    seed: int,
    checkpoint: Path,
    report: Callable[[Progress], None],
) -> tuple[Classifier, list[Progress]]:
    """A classifier that has seen the texts `epochs` times, each time with other pieces hidden."""
    pad, mask = (piece_id(tokenizer, piece) for piece in (PAD, MASK))
    torch.manual_seed(seed)
    model = Classifier(encoder)
    wanted = torch.from_numpy(classes)

    def loss_of(batch: loop.Batch) -> torch.Tensor:
        shown, _ = hidden(batch, tokenizer.get_vocab_size(), mask)
        return functional.cross_entropy(
            model(shown, batch.mask), wanted[batch.texts], label_smoothing=_SMOOTHING
        )

    ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    reports = loop.fit(
        model,
        ids,
        loss_of,
        pad=pad,
        epochs=epochs,
        rate=rate,
        seed=seed,
        checkpoint=checkpoint,
        report=report,
    )
    return model, reports
