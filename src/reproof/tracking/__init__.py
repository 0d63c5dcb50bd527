"""Talks to MLflow, which is an index and a display; the record is the authority."""
