"""Least squares in fractions."""
import json
from fractions import Fraction

points = [(Fraction(x), Fraction((x * 7919) % 101, 7)) for x in range(1, 40)]
n = len(points)
sx = sum(x for x, _ in points)
sy = sum(y for _, y in points)
sxx = sum(x * x for x, _ in points)
sxy = sum(x * y for x, y in points)
slope = (n * sxy - sx * sy) / (n * sxx - sx * sx)
offset = (sy - slope * sx) / n
residual = sum((slope * x + offset - y) ** 2 for x, y in points)

with open("result.json", "w") as file:
    json.dump({"residual": float(residual), "model": [str(slope), str(offset)]}, file)
