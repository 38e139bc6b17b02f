"""What a tenant sets: the name of its product, its offers, the links that may be sent."""

from msgspec import Struct

from schemas.policy import Label, Share
from schemas.vocabulary import Locale, Strategy


class Offer(Struct, frozen=True, kw_only=True):
    """An offer of the tenant's catalogue, worded in each language it may be sent in; arms name it by its
    `id`.
    """

    id: Label | None = None
    strategy: Strategy
    text: dict[Locale, str]


class Tenant(Struct, frozen=True, kw_only=True):
    """A tenant's profile. `care_on_rise` sends the care script to who comes back to `very_low`.

    A user whose churn probability rises over `risk_threshold` crosses, and does so again only after it
    fell below `risk_clear`, which is not the greater of the two.
    """

    product: str
    link: str | None = None
    offers: tuple[Offer, ...] = ()
    care_on_rise: bool = False
    risk_threshold: Share = 0.5
    risk_clear: Share = 0.4

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
