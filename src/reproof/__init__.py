"""reproof re-creates a machine-learning result and proves whether it came out the same."""
