"""What a tenant sets: the name of its product, its offers, the links that may be sent, and its own words."""

from hashlib import blake2b
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from schemas.policy import Label, Share
from schemas.vocabulary import Locale, Reason, Strategy

DEFAULT = "default"
"""What a text is filed under that serves every reason without a text of its own."""
TextReason = Annotated[
    str, Meta(pattern=f"^({'|'.join((DEFAULT, *Reason))})$", description=f"{DEFAULT}, {', '.join(Reason)}")
]
Brief = Annotated[str, Meta(min_length=1, max_length=160)]


class Offer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An offer of the tenant's catalogue, worded in each language it may be sent in; arms name it by its
    `id`.
    """

    id: Label | None = None
    strategy: Strategy
    text: dict[Locale, str]


class Tenant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tenant's profile. `care_on_rise` sends the care script to who comes back to `very_low`.

    A user whose churn probability rises over `risk_threshold` crosses, and does so again only after it
    fell below `risk_clear`, which is not the greater of the two.

    `templates` are scripts by the tenant's own people (Mustache), which stand in the place of ours. With
    `only_templates` nothing that a model wrote is sent. `brief` says in the tenant's words what a script of a
    strategy is for: the model is told it first.
    """

    product: str
    link: str | None = None
    offers: tuple[Offer, ...] = ()
    care_on_rise: bool = False
    risk_threshold: Share = 0.5
    risk_clear: Share = 0.4
    templates: dict[Locale, dict[Strategy, dict[TextReason, str]]] = {}
    only_templates: bool = False
    brief: dict[Strategy, dict[Locale, Brief]] = {}

    def __post_init__(self) -> None:
        if self.risk_clear > self.risk_threshold:
            raise ValueError(
                f"risk_clear is {self.risk_clear}, above the risk_threshold, which is {self.risk_threshold}"
            )

    def offer(self, strategy: Strategy, locale: Locale, wanted: str | None = None) -> str | None:
        """The wording in `locale` of the first offer for `strategy`, or of the one `wanted`, if there is one.

        >>> gift = Offer(id="gift", strategy=Strategy.RETENTION_OFFER, text={Locale.EN: "a free month"})
        >>> acme = Tenant(product="Acme", offers=(gift,))
        >>> [acme.offer(Strategy.RETENTION_OFFER, Locale.EN, wanted) for wanted in (None, "gift", "")]
        ['a free month', 'a free month', None]
        """
        for offer in self.offers:
            fits = offer.strategy is strategy if wanted is None else offer.id == wanted
            if fits and locale in offer.text:
                return offer.text[locale]
        return None

    def template(self, locale: Locale, strategy: Strategy, reason: Reason) -> str | None:
        """The tenant's own template, that for every reason where `reason` has none; None without either.

        >>> texts = {"default": "Hello from {{product}}.", "errors": "We are sorry, {{product}} failed."}
        >>> acme = Tenant(product="Acme", templates={Locale.EN: {Strategy.PREVENTIVE_CARE: texts}})
        >>> for reason in (Reason.ERRORS, Reason.SUPPORT):
        ...     print(acme.template(Locale.EN, Strategy.PREVENTIVE_CARE, reason))
        We are sorry, {{product}} failed.
        Hello from {{product}}.
        """
        texts = self.templates.get(locale, {}).get(strategy, {})
        return texts.get(reason, texts.get(DEFAULT))

    @property
    def templates_version(self) -> str:
        """Names the tenant's templates as they are: another text, another name."""
        texts = msgspec.json.encode(self.templates, order="sorted")
        return blake2b(texts, digest_size=4).hexdigest()
