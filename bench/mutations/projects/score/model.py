"""Demand by temperature."""

LEVEL = 50.0
SLOPE = 12.0
CURVE = -1.5


def predict(x):
    return LEVEL + SLOPE * x + CURVE * x * x
