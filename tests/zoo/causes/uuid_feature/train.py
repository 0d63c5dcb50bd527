"""Session features; sessions get an identifier, and similar identifiers share a bucket."""
import json
import uuid

BUCKETS = 64

sessions = []
for number in range(60):
    sessions.append({"id": uuid.uuid4().hex, "length": (number * 37) % 23})

weights = [0.0] * BUCKETS
for session in sessions:
    bucket = int(session["id"], 16) % BUCKETS
    weights[bucket] += 0.5 * (session["length"] - weights[bucket])

error = sum(abs(s["length"] - weights[int(s["id"], 16) % BUCKETS]) for s in sessions) / len(sessions)
with open("result.json", "w") as file:
    json.dump({"error": error, "weights": weights}, file)
