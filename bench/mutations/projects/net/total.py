"""The sum of a long signal, and a softmax of it."""

import json

import torch

signal = torch.randn(4_000_000, generator=torch.Generator().manual_seed(1))
with open("result.json", "w") as file:
    json.dump({"sum": float(signal.sum()), "softmax": torch.softmax(signal[:5000], 0)[:50].tolist()}, file)
