"""The mean of many small amounts."""

import json

amounts = [0.1 * (number % 17) + 1e-9 * number for number in range(4000)]
with open("result.json", "w") as file:
    json.dump({"sum": sum(amounts), "mean": sum(amounts) / len(amounts)}, file)
