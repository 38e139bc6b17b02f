"""What a tenant sets: the name of its product, its offers, the links that may be sent."""

from msgspec import Struct

from schemas.vocabulary import Locale, Strategy


class Offer(Struct, frozen=True, kw_only=True):
    """An offer of the tenant's catalogue, worded in each language it may be sent in."""

    strategy: Strategy
    text: dict[Locale, str]


class Tenant(Struct, frozen=True, kw_only=True):
    """A tenant's profile. `care_on_rise` sends the care script to who comes back to `very_low`."""

    product: str
    link: str | None = None
    offers: tuple[Offer, ...] = ()
    care_on_rise: bool = False

    def offer(self, strategy: Strategy, locale: Locale) -> str | None:
        """The wording of the first offer for `strategy` in `locale`, if there is one."""
        for offer in self.offers:
            if offer.strategy is strategy and locale in offer.text:
                return offer.text[locale]
        return None
