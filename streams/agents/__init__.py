"""What waits for others: the composer, which asks Redis and the model, and the ticker."""
