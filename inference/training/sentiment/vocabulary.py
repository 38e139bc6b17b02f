"""WordPiece for Chinese and English together, trained on the texts."""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from inference.sentiment import MOST_PIECES
from schemas.errors import InputError

SIZE = 12_000
PAD, UNKNOWN, START, END, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LONGEST = 24


def piece_id(tokenizer: Tokenizer, piece: str) -> int:
    """The id of a piece that there must be.

    Raises:
        InputError: a vocabulary made elsewhere has no such piece.
    """
    known: int | None = tokenizer.token_to_id(piece)
    if known is None:
        raise InputError(f"the tokenizer has no {piece}")
    return known


def train(texts: Iterable[str]) -> Tokenizer:
    """A vocabulary of `SIZE` pieces.

    Runs of Chinese are not cut into characters first, as BERT's own vocabularies do, so that what is common
    becomes one piece, be it a word or a phrase. For the same reason a piece is the same at the beginning of
    a run and within it.
    """
    tokenizer = Tokenizer(
        models.WordPiece(unk_token=UNKNOWN, continuing_subword_prefix="", max_input_chars_per_word=_LONGEST)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    # Where a word is longer than the model's bound it would be unknown as a whole.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.BertPreTokenizer(),
            pre_tokenizers.Split(Regex(rf".{{1,{_LONGEST}}}"), behavior="isolated"),
        ]
    )
    trainer = trainers.WordPieceTrainer(
        vocab_size=SIZE,
        min_frequency=3,
        special_tokens=list(SPECIAL),
        continuing_subword_prefix="",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        special_tokens=[(piece, piece_id(tokenizer, piece)) for piece in (START, END)],
    )
    tokenizer.enable_truncation(MOST_PIECES)
    return tokenizer
