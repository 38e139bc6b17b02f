"""What waits for others: assessor, composer and drafter, which ask Redis and models, and the ticker."""

ASSESSOR_GROUP = "holdfast-assessor"
"""The consumer group that shares the occasions at which users are assessed."""
COMPOSER_GROUP = "holdfast-composer"
"""The consumer group that shares the crossings."""
DRAFTER_GROUP = "holdfast-drafter"
"""The consumer group that shares the requests for drafts."""
