"""Churn risk over a whole log: its sequences, the cut-offs at which it is judged, and what comes of it."""
