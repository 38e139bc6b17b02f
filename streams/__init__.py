"""The engines: the only place that knows Flink, Kafka, Redis and how they are wired."""
