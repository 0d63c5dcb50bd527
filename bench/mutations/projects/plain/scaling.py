"""Units: the tables are in degrees Fahrenheit."""

OFFSET = 32.0
FACTOR = 1.8


def scale(value):
    return (value - OFFSET) / FACTOR / 10.0
