"""The engines: the only place that knows Flink, Faust, Kafka, Redis and how they are wired."""
