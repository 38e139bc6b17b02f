"""The Flink jobs: decisions (`job`), sequences in Redis (`sequences`), and what both need to run."""
