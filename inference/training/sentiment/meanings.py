"""First meanings of the pieces, from what stands beside what: the encoder starts with them.

The positive pointwise mutual information of neighbours, its matrix cut to few dimensions: Levy and Goldberg,
Neural Word Embedding as Implicit Matrix Factorization (NIPS 2014). It takes seconds, and spares the
pre-training most of what it would learn first.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional

from inference.training.sentiment.vocabulary import SPECIAL

_WINDOW = 4
_SMOOTHING = 0.75
_SPREAD = 0.05


def vectors(ids: Sequence[Sequence[int]], vocabulary: int, dimensions: int, seed: int) -> torch.Tensor:
    """A vector for each piece, shape [vocabulary, dimensions], of standard deviation 0.05 over all.

    Neighbours stand within 4 pieces; the frequencies of one side are smoothed (Levy, Goldberg and Dagan,
    TACL 2015, section 3.1). Special pieces, and pieces without neighbours, get small random ones.
    """
    torch.manual_seed(seed)
    # A special piece (here a border) between two texts keeps them apart where the window is short.
    border = [0] * _WINDOW
    row = torch.tensor([piece for text in ids for piece in (*text, *border)])
    pairs = []
    for apart in range(1, _WINDOW + 1):
        left, right = row[:-apart], row[apart:]
        words = (left >= len(SPECIAL)) & (right >= len(SPECIAL))
        pairs += [left[words] * vocabulary + right[words], right[words] * vocabulary + left[words]]
    codes, counts = torch.unique(torch.cat(pairs), return_counts=True)
    left, right, often = codes // vocabulary, codes % vocabulary, counts.double()
    total = torch.zeros(vocabulary, dtype=torch.double).index_add_(0, left, often)
    smooth = total**_SMOOTHING
    information = torch.log(often * smooth.sum() / (total[left] * smooth[right])).clamp(min=0).float()
    matrix = torch.sparse_coo_tensor(
        torch.stack([left, right]), information, (vocabulary, vocabulary), check_invariants=False
    )
    u, s, _ = torch.svd_lowrank(matrix, q=min(dimensions, vocabulary), niter=3)
    # A vocabulary of fewer pieces than dimensions leaves the others empty.
    found = functional.pad(u * s.sqrt(), (0, dimensions - len(s)))
    found = found / found.std() * _SPREAD
    alone = found.abs().sum(1) < 1e-6
    return torch.where(alone[:, None], torch.randn_like(found) * 0.02, found)
