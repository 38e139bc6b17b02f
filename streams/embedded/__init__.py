"""The stack on one machine: broker, Redis, Triton, the Flink job and the agents, as child processes."""

from streams.embedded.stack import Progress, Stack, Status

__all__ = ["Progress", "Stack", "Status"]
