"""Probes: each fills one section of a record."""
