"""Runs the composer: `python -m streams.agents`. Exit status 1 where there is no broker."""

import logging
import sys

import faust

from inference.client import ScriptModel
from schemas.errors import HoldfastError
from streams.agents.app import build
from streams.agents.composer import Composer
from streams.settings import load_settings
from streams.store import UserStore
from streams.tenants import load_tenants
from streams.topics import ensure_topics


def main() -> None:
    """Composes until the process is told to stop."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it logs each attempt to connect
    try:
        settings = load_settings()
        tenants = load_tenants(settings.tenants_file)
        ensure_topics(settings.bootstrap_servers)
    except HoldfastError as error:
        print(f"composer: {error}", file=sys.stderr)
        sys.exit(1)
    composer = Composer(
        users=UserStore(settings.redis_url),
        model=ScriptModel(settings.triton_url),
        tenants=tenants,
        budget_ms=settings.budget_ms,
        publish_margin_ms=settings.publish_margin_ms,
    )
    faust.Worker(build(settings, composer), loglevel="WARNING", quiet=True).execute_from_commandline()


if __name__ == "__main__":
    main()
