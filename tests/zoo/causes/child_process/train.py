"""Features are made by a program of its own."""
import json
import random
import subprocess
import sys

random.seed(1)
targets = [random.random() for _ in range(20)]
done = subprocess.run([sys.executable, "features.py", "20"], capture_output=True, text=True, check=True)
features = json.loads(done.stdout)

weight = sum(x * y for x, y in zip(features, targets)) / sum(x * x for x in features)
with open("result.json", "w") as file:
    json.dump({"weight": weight, "features": features}, file)
