"""What waits for others: the composer, which asks Redis and the model, and the ticker."""

COMPOSER_GROUP = "holdfast-composer"
"""The consumer group that shares the crossings."""
