"""The network: any BERT encoder, and a head of three classes where it brings none of its own."""

import torch
from transformers import BertConfig, BertModel

from inference.labelled import CLASSES
from inference.sentiment import MOST_PIECES

_BELOW_ALL = -1e4


def config(vocabulary: int) -> BertConfig:
    """BERT in small: what one CPU core can train in less than an hour."""
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=MOST_PIECES,
        attn_implementation="sdpa",
    )


class Classifier(torch.nn.Module):
    """Log-odds of negative, neutral, positive from an encoder's [CLS], mean and maximum over the tokens.

    From scratch, the mean learns within minutes what [CLS] alone takes hours for.
    """

    def __init__(self, encoder: BertModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = torch.nn.Dropout(0.2)
        self.head = torch.nn.Linear(3 * encoder.config.hidden_size, len(CLASSES))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits, shape [n, 3], for token ids and their mask, shape [n, tokens]."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        shown = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * shown).sum(1) / shown.sum(1)
        top = (states + (1 - shown) * _BELOW_ALL).amax(1)
        return self.head(self.dropout(torch.cat([states[:, 0], mean, top], dim=1)))
