"""The harness: how fast decisions are published under a load that does not wait for them."""
