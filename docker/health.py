"""The health check of the containers: `health.py URL [TEXT]` is 0 when URL answers 200 and says TEXT.

Standard library alone, since it runs every few seconds.
"""

import sys
from http.client import HTTPException
from urllib.request import urlopen

TIMEOUT_S = 4.0


def problem(url: str, text: str = "") -> str | None:
    """None when `url` answers 200 with `text` in its body; else what is wrong."""
    try:
        with urlopen(url, timeout=TIMEOUT_S) as answer:
            body = answer.read().decode(errors="replace")
    except (OSError, HTTPException) as error:
        return f"no answer at {url}: {error}"
    return None if text in body else f"{url} does not say {text}"


if __name__ == "__main__":
    sys.exit(problem(*sys.argv[1:]))
