"""Which events the JVM may drop unseen: good ones, of a pane that is active already.

Nearly all events change nothing, since their user's pane is marked. Whether one is accepted is decided in
Python, by `schemas.codec`; that would take most of the processor if every event were taken there. So SQL
looks for *plain* events, which are surely accepted, and lets only the first of each user and pane through.
Whatever is not plain goes through too: it takes longer, and is judged by the same code.

A plain event is a flat JSON object without escapes, its fields in any order, with each known field as its
schema wants it, and a replay's mark at the end. The patterns are read by Java and, in tests, by Python: they
use what is the same in both.
"""

_CHAR = r'[^"\\\x00-\x1f\ufffd\ud800-\udfff]'
_NAME = r"[!#-\[\]-~\u00c0-\u024f\u4e00-\u9fff]{1,128}+"
_WHOLE = "(?:0|[1-9][0-9]{0,13})"
_WORD = f'"{_CHAR}{{1,128}}+"'
_REPLAY = rf'\{{"until": ?+{_WHOLE}, ?+"compose": ?+(?:true|false)\}}'

# A pair of empty parentheses notes that its field was there: a later reference to it matches only then.
_FIELDS = {
    "event_id": f'"{_NAME}"()',
    "tenant": r'"\1"()',
    "user_id": r'"\2"()',
    "ts": f"({_WHOLE})()",
    "kind": '"(?:login()|usage())"',
    "feature": f"{_WORD}()",
    "replay": "null",
    "channel": _WORD,
    "action": '"log(?:in|out)"',
    "duration_ms": _WHOLE,
    "outcome": '"(?:ok|error)"',
}
_ALL_THERE = r"\3\4\5\7(?:\8(?!\9)|\9(?!\8)\10)"


def _field() -> str:
    known = (f'"{name}": ?+{value}' for name, value in _FIELDS.items())
    other = f'"(?!(?:{"|".join(_FIELDS)})"){_CHAR}*+": ?+(?:"{_CHAR}*+"|-?+{_WHOLE}|true|false|null)'
    return "|".join((*known, other))


PLAIN = (
    rf"^([A-Za-z0-9_.-]{{1,64}}+)/({_NAME}) \{{(?:(?:{_field()})(?:, ?+(?=\")|(?=\}})))++"
    rf'(?:"replay": ?+{_REPLAY})?+\}}{_ALL_THERE}(?![\s\S])'
)
"""A plain event, after its record's key and a space; group `TS_GROUP` is its `ts`."""
TS_GROUP = 6
MARK = rf'"replay": ?+({_REPLAY})'
"""The replay's mark of a plain event, as group 1."""
TICK = rf'^\{{"kind":"tick","ts":{_WHOLE},"replay":(?:null|{_REPLAY})\}}$'
"""A tick as ours are written; it belongs to no user."""
CLOCK = rf'^\{{[^{{}}]*?"ts": ?+({_WHOLE})[,}}]'
"""The `ts` of an object's head, as group 1, whatever else is wrong with it."""
