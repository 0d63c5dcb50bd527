"""Feature hashing with a salt."""
import hashlib
import json
import os

SALT = os.urandom(8)
WIDTH = 16

row = [0.0] * WIDTH
for number in range(100):
    digest = hashlib.blake2b(f"user-{number}".encode(), salt=SALT).digest()
    row[digest[0] % WIDTH] += 1.0 if digest[1] & 1 else -1.0

norm = sum(value * value for value in row) ** 0.5
with open("result.json", "w") as file:
    json.dump({"norm": norm, "row": row}, file)
