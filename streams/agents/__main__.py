"""Runs the composer: `python -m streams.agents`. Exit status 1 where there is no broker."""

import asyncio
import logging
import sys

from inference.client import ScriptModel
from schemas.errors import HoldfastError
from streams.agents.app import serve
from streams.agents.composer import Composer
from streams.settings import Settings, load_settings
from streams.store import UserStore
from streams.tenants import Tenants, load_tenants
from streams.topics import ensure_topics


def main() -> None:
    """Composes until the process is told to stop."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("kafka", "aiokafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they log each attempt to connect
    try:
        settings = load_settings()
        tenants = load_tenants(settings.tenants_file)
        ensure_topics(settings.bootstrap_servers)
        asyncio.run(_serve(settings, tenants))
    except HoldfastError as error:
        print(f"composer: {error}", file=sys.stderr)
        sys.exit(1)


async def _serve(settings: Settings, tenants: Tenants) -> None:
    users = UserStore(settings.redis_url)
    try:
        async with ScriptModel(settings.triton_url) as model:
            composer = Composer(
                users=users,
                model=model,
                tenants=tenants,
                budget_ms=settings.budget_ms,
                publish_margin_ms=settings.publish_margin_ms,
            )
            await serve(settings, composer)
    finally:
        await users.close()


if __name__ == "__main__":
    main()
