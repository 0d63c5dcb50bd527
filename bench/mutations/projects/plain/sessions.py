"""Sessions get an identifier, and the identifier a bucket."""

import json
import uuid

buckets = [0] * 16
for _ in range(200):
    session = uuid.uuid4()
    buckets[session.int % 16] += 1
with open("result.json", "w") as file:
    json.dump({"buckets": buckets}, file)
