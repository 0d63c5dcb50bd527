"""Values only: no input, no output."""
