"""The Flink job, and what it needs to run. Nobody else knows the engine."""
