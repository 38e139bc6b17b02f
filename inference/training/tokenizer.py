"""The small model's own tokenizer: byte-level BPE over the corpus, with the harmony format's specials."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from inference.prompt import ALWAYS_GIVEN, INSTRUCTIONS, STOPS, prompt
from inference.training.corpus import examples
from schemas.profile import SLOTS
from schemas.vocabulary import STRATEGIES, TIERS, Locale, Reason

VOCABULARY = 4096
SPECIAL = ("<|endoftext|>", "<|start|>", "<|message|>", "<|channel|>", *STOPS)
PAD, END = SPECIAL[0], STOPS[0]
_EXAMPLES = 6_000
# Words with the space before them, runs of Han or other letters, single digits, marks, white space.
_PIECES = r" ?[A-Za-z']+|\p{Han}+|[^\sA-Za-z\p{Han}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+"


def train(seed: int) -> Tokenizer:
    """A tokenizer for the corpus that `seed` gives. The same seed gives the same tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    whole = [AddedToken(text, special=False, normalized=False) for text in _whole_pieces()]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(whole),
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(seed), trainer)
    tokenizer.add_tokens(whole)
    return tokenizer


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token that there must be."""
    known: int | None = tokenizer.token_to_id(token)
    assert known is not None, token
    return known


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Writes the tokenizer as transformers and the model builder read it."""
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=END)
    fast.save_pretrained(folder)


def _whole_pieces() -> Iterator[str]:
    """What is always one token: slots, and the header's words, of which each costs the model time."""
    for slot in SLOTS:
        yield f"{{{{{slot}}}}}"
        if slot not in ALWAYS_GIVEN:
            yield from (f" {slot}={given}" for given in ("yes", "no"))
    yield from (f"locale={locale}" for locale in Locale)
    yield from (f" tier={tier}" for tier in TIERS)
    yield from (f" strategy={strategy}" for strategy in STRATEGIES)
    yield from (f" reason={reason}" for reason in Reason)
    yield " plan="


def _texts(seed: int) -> Iterator[str]:
    for example in islice(examples(seed), _EXAMPLES):
        yield prompt(example.profile) + example.script
    # The instructions come with every prompt: they should cost few tokens.
    for text in INSTRUCTIONS.values():
        yield from [text] * _EXAMPLES
