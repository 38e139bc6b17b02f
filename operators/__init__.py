"""What every decision is made of, pure: no clock, no engine, no store, no network."""
