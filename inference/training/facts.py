"""Facts as the encoder gives them, made up: of every length that fits, so that what is learned fits too."""

from random import Random

from schemas.profile import SLOTS
from schemas.vocabulary import Locale

FACT_CHARS = {Locale.EN: 170, Locale.ZH: 90}
"""The encoder's own limit for all words together: a test fails where the two part, as for what follows."""
WORD_CHARS = {"product": 40, "offer": 100, "name": 32, "feature": 40, "link": 120}
"""The longest value of each fact that is words. By worth: where they are too many, the last ones go."""
NUMBER_CHARS = 6
"""The longest number that is expected: 12,345."""
_PRODUCTS = (
    "Acme Cloud",
    "Northwind",
    "Kite",
    "Office365",
    "Lumen Notes",
    "Harbor Project Management Suite",
    "云笔记",
    "星图协作平台",
)
_NAMES = (
    "Ann",
    "Ben Carter",
    "María José García",
    "Jean-Luc O’Hara",
    "Alexandra Montgomery-Whitfield",
    "王芳",
    "欧阳娜娜",
)
_FEATURES = ("export", "dashboard", "team chat", "api", "shared calendar view", "报表", "看板", "数据导出")
_OFFERS = {
    Locale.EN: (
        "20% off the next three months",
        "one month free of charge",
        "a guided tour of what is new",
        "a free session with one of our specialists",
        "30% off your plan for the rest of the year, and a personal contact for all your questions",
    ),
    Locale.ZH: (
        "接下来三个月八折优惠",
        "免费赠送一个月",
        "一次新功能导览",
        "一次免费的专家一对一辅导",
        "全年套餐七折，外加一位专属顾问随时解答您在使用中的问题",
    ),
}
_LINKS = (
    "https://acme.example/welcome-back",
    "https://kite.example",
    "https://app.northwind.example/account/plans?from=mail",
    "https://help.harbor.example/spaces/customers/articles/how-to-start-again-after-a-break",
)


def made_up(random: Random, locale: Locale, wanted: set[str]) -> dict[str, str]:
    """A value for each slot in `wanted`, as long as the words among them stay within the limit."""
    drawn = {
        "product": random.choice(_PRODUCTS),
        "offer": random.choice(_OFFERS[locale]),
        "name": random.choice(_NAMES),
        "feature": random.choice(_FEATURES),
        "link": random.choice(_LINKS),
        "logins_7d": str(random.randrange(40)),
        "active_hours_7d": str(random.randrange(60)),
        "usual_hours": str(random.randrange(1, 168)),
        "quiet_days": str(random.randrange(2, 31)),
    }
    left = FACT_CHARS[locale]
    for slot in WORD_CHARS:
        if slot in wanted and len(drawn[slot]) > left:
            wanted = wanted - {slot}
        elif slot in wanted:
            left -= len(drawn[slot])
    return {slot: drawn[slot] for slot in SLOTS if slot in wanted}
