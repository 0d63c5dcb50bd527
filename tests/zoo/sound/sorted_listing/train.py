"""An online regression over all files of measurements."""
import glob
import json
import os

weight, bias, error = 0.0, 0.0, 0.0
for path in sorted(glob.glob(os.path.join("data", "*.csv"))):
    with open(path) as file:
        for line in file:
            x, y = map(float, line.split(","))
            error = weight * x + bias - y
            weight -= 0.05 * error * x
            bias -= 0.05 * error

with open("result.json", "w") as file:
    json.dump({"last_error": error, "model": [weight, bias]}, file)
