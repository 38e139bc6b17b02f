"""What waits for others: the composer and the drafter, which ask Redis and the model, and the ticker."""

COMPOSER_GROUP = "holdfast-composer"
"""The consumer group that shares the crossings."""
DRAFTER_GROUP = "holdfast-drafter"
"""The consumer group that shares the requests for drafts."""
