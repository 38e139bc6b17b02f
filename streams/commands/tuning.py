"""`holdfast train examples|lora|pairs|dpo`: the script model trained on, and what it is trained with."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from inference.preferences import pairs
from inference.prompt import prompt
from inference.registry import promoted
from inference.training.corpus import examples as corpus_examples
from inference.tritonserver import MODEL
from operators.ladder import refusal
from schemas.errors import InputError
from schemas.events import Account, Event, Login, Support, Usage
from streams.commands.learning import reporting, require, tell
from streams.commands.output import AsJson, out
from streams.commands.records import Decisions, Outcomes, published, reported_outcomes
from streams.datasets import read_events
from streams.questions import questions

NANO = "nano"
_EXAMPLES_SEED = 11
_SCRIPTS = 1_000

Base = Annotated[
    str,
    typer.Option(
        "--base", metavar="FOLDER|nano", help="What to train on: a folder, or the small model that serves."
    ),
]
Target = Annotated[Path, typer.Option("--target", metavar="FOLDER", help="The new version's folder.")]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="JSON lines.")]
RecipeFile = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE",
        help="TOML: nano, nano-more, nano-estimate, gpt-oss-20b, or your own.",
    ),
]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Fewer steps than the recipe's, to try.")]
Scripts = Annotated[int, typer.Option("--scripts", min=1, help="Scripts that a small model is evaluated by.")]


def examples(
    file: Out,
    scripts: Annotated[
        int, typer.Option("--scripts", min=0, help="Prompts for scripts, of our corpus.")
    ] = 8_000,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="Events, for questions about churn as well.")
    ] = None,
    asked: Annotated[int, typer.Option("--questions", min=1, help="Of those, at most so many.")] = 24_000,
) -> None:
    """Write what a language model is to learn: prompts with their answers, as JSON lines.

    Scripts are those of the small model's own corpus. Questions are made of a log: sentences and numbers as
    of three days before a week's end, and whether the user was gone for the thirty days after it. Users and
    times that a test would be made of are left out.

    Example: holdfast train examples --log log.parquet --out examples.jsonl
    """
    from inference.training.records import Answered

    def found() -> Iterator[Answered]:
        for one in islice(corpus_examples(_EXAMPLES_SEED), scripts):
            yield Answered(prompt=prompt(one.profile), answer=one.script)
        if log is not None:
            for each in questions(events_of(log), train=asked, test=0):
                yield Answered(prompt=each.text, answer=each.answer, task="churn")

    out.print(f"{_write(file, found())} examples are in {file}")


def lora(
    target: Target,
    data: Annotated[Path, typer.Option("--data", metavar="FILE", help="As `train examples` writes them.")],
    base: Base = NANO,
    recipe: RecipeFile = None,
    steps: Steps = None,
    scripts: Scripts = _SCRIPTS,
    as_json: AsJson = False,
) -> None:
    """Train a model on by LoRA, merge, and write a new version: weights, card, metrics.

    Two groups are trained, the base's own weights at 1e-6 and an adapter of rank 16 at 1e-4, as the recipe
    says; of GPT-OSS-20B attention alone. Needs the extra `train`.

    Example: holdfast train lora --data examples.jsonl --target inference/model_repository/script/2
    """
    _train("lora", base, data, target, recipe, steps, scripts, as_json)


def make_pairs(
    file: Out,
    decisions: Decisions = None,
    outcomes: Outcomes = None,
) -> None:
    """Pair scripts that users answered with such as they complained of, for `holdfast train dpo`.

    Both of a pair are of one tier, reason, locale and set of slots. Read are the topics of the running stack,
    or the files that are given.

    Example: holdfast train pairs --out pairs.jsonl
    """
    scripts = (one.decision for one in published(decisions))
    found = list(pairs(scripts, reported_outcomes(outcomes)))
    simulated = sum(pair.simulated for pair in found)
    out.print(f"{_write(file, found)} pairs are in {file}, {simulated} of them of simulated outcomes")


def dpo(
    target: Target,
    data: Annotated[Path, typer.Option("--pairs", metavar="FILE", help="As `train pairs` writes them.")],
    base: Base = NANO,
    recipe: RecipeFile = None,
    steps: Steps = None,
    scripts: Scripts = _SCRIPTS,
    as_json: AsJson = False,
) -> None:
    """Train a model on by DPO, so that it prefers what users took well, and write a new version.

    An adapter alone is trained; the reference is the same model without it. Needs the extra `train`.

    Example: holdfast train dpo --pairs pairs.jsonl --target inference/model_repository/script/2
    """
    _train("preferred", base, data, target, recipe, steps, scripts, as_json)


def _train(
    how: str,
    base: str,
    data: Path,
    target: Path,
    recipe: str | None,
    steps: int | None,
    scripts: int,
    as_json: bool,
) -> None:
    require("onnx", "peft", "tokenizers", "torch", "transformers")
    from inference.training import recipe as recipes  # torch takes seconds, and is an extra
    from inference.training import tuned

    known = recipes.read(recipes.path_of(recipe or NANO))
    if steps is not None:
        known = msgspec.structs.replace(known, steps=steps)
    with reporting() as report:
        order = tuned.Order(
            # What serves knows today's phrases, if by weights that were rounded to 8 bits.
            base=promoted(MODEL) if base == NANO else Path(base),
            data=data,
            target=target,
            recipe=known,
            refusal=refusal,
            scripts=scripts,
            report=report,
        )
        metrics = (tuned.lora if how == "lora" else tuned.preferred)(order)
    tell(metrics, target, as_json)


def events_of(path: Path) -> Iterator[Event]:
    """The events of a log.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    decoder = msgspec.json.Decoder(Login | Usage | Support | Account)
    for record in read_events(path):
        try:
            yield decoder.decode(record)
        except msgspec.MsgspecError as error:
            raise InputError(f"{path} holds a record that is no event: {error}") from error


def _write(path: Path, rows: Iterable[Any]) -> int:
    written = 0
    try:
        with path.open("wb") as file:
            for row in rows:
                file.write(msgspec.json.encode(row) + b"\n")
                written += 1
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    return written
