"""What the model sees."""

from units import celsius

CENTRE = 20.0
SPREAD = 10.0


def feature(value):
    return (celsius(value) - CENTRE) / SPREAD
