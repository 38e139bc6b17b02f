"""The main job without the sieve before it: every event goes to the keyed operator in Python.

It runs in the main environment and takes the settings of the stack, as the main job does.
"""

import sys

from schemas.errors import HoldfastError
from schemas.topics import EVENT_TOPICS
from streams.flink.environment import leave, run, start
from streams.flink.job import NAME, build, cluster
from streams.flink.keyed import Lives
from streams.settings import load_settings
from streams.tenants import Tenants


def main() -> None:
    """Runs the job until SIGTERM."""
    try:
        settings = load_settings()
        place = cluster(settings)
        env, tables = start(place)
        build(env, tables, settings, Lives(Tenants({}), settings.draft_lead_ms), events=EVENT_TOPICS)
        run(place, lambda: env.execute_async(NAME), lambda _: print("running", flush=True))
    except HoldfastError as error:
        print(f"pyflink: {error}", file=sys.stderr)
        leave(1)
    leave(0)


if __name__ == "__main__":
    main()
