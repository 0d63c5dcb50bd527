"""Temperatures."""

OFFSET = 32.0
FACTOR = 1.8


def celsius(value):
    return (value - OFFSET) / FACTOR
