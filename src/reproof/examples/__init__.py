"""Projects that are shipped with reproof."""
