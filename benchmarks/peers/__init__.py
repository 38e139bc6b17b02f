"""The same job done with what one would take instead: one small file a peer, and what compares them."""
