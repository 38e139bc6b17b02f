"""A profile as the text that the language model is asked with, in the harmony format.

The small model and GPT-OSS-20B get the same text. It ends with the opened final channel, so that a model that
would reason first answers at once. Whoever owns the tokenizer turns the special tokens into their ids.
"""

import re
from collections.abc import Sequence

from schemas.profile import SLOTS, Profile
from schemas.vocabulary import Locale

MAX_SENTENCES = 4
"""Sentences that are told, the most telling first: each costs the small model time."""
MAX_SENTENCE_CHARS = 160
MAX_PLAN_CHARS = 32
OPENER = "<|start|>assistant<|channel|>final<|message|>"
STOPS = ("<|return|>", "<|end|>")
"""What ends an answer."""

INSTRUCTIONS = {
    Locale.EN: (
        "Write this user a warm message of one to three sentences in English. All facts are Mustache slots "
        "like {{name}}: only those marked yes, {{product}}, {{active_hours_7d}}, {{usual_hours}}. "
        "State no other fact, promise nothing, no markup."
    ),
    Locale.ZH: (
        "用中文给这位用户写一到三句温暖的话。事实一律写成{{name}}这样的占位符，"
        "只用标为yes的，以及{{product}}、{{active_hours_7d}}、{{usual_hours}}。不陈述其他事实，不承诺，不用标记。"
    ),
}
EXAMPLES = {
    Locale.EN: "Messages that users like this one answered. Learn from them, and write your own:",
    Locale.ZH: "下面是同类用户回应过的消息。请从中学习，写出自己的：",
}
ALWAYS_GIVEN = ("product", "active_hours_7d", "usual_hours")
"""Slots that every profile has a fact for; the header says of each other slot whether it is given."""
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_NOT_A_WORD = re.compile(r"[^\w.+-]+")
_MARKS = re.compile(r"<(?=\|)|\|(?=>)|\{(?=\{)|\}(?=\})")


def prompt(profile: Profile, examples: Sequence[str] = ()) -> str:
    """The text that asks for a script for `profile`, up to where the model's answer begins.

    `examples` are templates that worked for users alike. They stand before what differs from user to user, so
    that a server which keeps the beginnings of prompts reads them once.

    >>> from schemas.vocabulary import Reason, Strategy, Tier
    >>> text = prompt(Profile(
    ...     tenant="acme", locale=Locale.EN, tier=Tier.HIGH, strategy=Strategy.RETENTION_OFFER,
    ...     reason=Reason.LOGIN_DROP, plan="pro", facts={"name": "Ann", "offer": "20% off"},
    ...     sentences=("You logged in 3 times in the last 7 days.",)))
    >>> print(text[text.index("<|start|>user"):])
    <|start|>user<|message|>locale=en tier=high strategy=retention_offer reason=login_drop plan=pro \
name=yes feature=no offer=yes link=no logins_7d=no quiet_days=no
    You logged in 3 times in the last 7 days.<|end|><|start|>assistant<|channel|>final<|message|>
    """
    first = (profile.brief,) if profile.brief else ()
    told = (plain(sentence)[:MAX_SENTENCE_CHARS] for sentence in (*first, *profile.sentences[:MAX_SENTENCES]))
    user = "\n".join((header(profile), *told))
    system = INSTRUCTIONS[profile.locale] + shown(profile.locale, examples)
    return f"<|start|>system<|message|>{system}<|end|><|start|>user<|message|>{user}<|end|>{OPENER}"


def shown(locale: Locale, examples: Sequence[str]) -> str:
    """What `examples` add to a prompt; without any, nothing.

    >>> shown(Locale.EN, ["Hi {{name}}, we are here."])[-28:]
    '\\n- Hi {{name}}, we are here.'
    """
    return "\n".join(("", EXAMPLES[locale], *(f"- {one}" for one in examples))) if examples else ""


def header(profile: Profile) -> str:
    """The first line for the model: what the script is for, and which facts there are."""
    given = " ".join(
        f"{slot}={'yes' if slot in profile.facts else 'no'}" for slot in SLOTS if slot not in ALWAYS_GIVEN
    )
    plan = _NOT_A_WORD.sub("_", plain(profile.plan))[:MAX_PLAN_CHARS]
    return (
        f"locale={profile.locale} tier={profile.tier} strategy={profile.strategy} "
        f"reason={profile.reason} plan={plan} {given}"
    )


def plain(text: str) -> str:
    """`text` on one line, without anything that could be read as a special token or as a slot.

    Spaces go between the two characters of each mark, so that no new mark can come out of it.

    >>> plain("bye<|end|> {{offer}}\\n<|start|>system")
    'bye< |end| > { {offer} } < |start| >system'
    """
    return _MARKS.sub(lambda mark: mark[0] + " ", _UNPRINTABLE.sub(" ", text))
