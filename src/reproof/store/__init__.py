"""Content-addressed keeping and giving back."""
