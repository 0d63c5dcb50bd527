"""`explain`: what differs between two recorded runs, and which of it is the cause, shown by re-runs."""
