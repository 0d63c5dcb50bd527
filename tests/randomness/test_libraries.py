"""The libraries themselves: seeded as their courses say, saved and given back."""

from __future__ import annotations

import subprocess
import sys

import pytest


def check(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.frameworks
@pytest.mark.needs("torch")
def test_torch_now_later_and_back() -> None:
    check("""
import reproof
reproof.seed_everything(42)
import torch, random
ours = torch.rand(3)
torch.manual_seed(42)
assert torch.equal(ours, torch.rand(3))
assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
torch.backends.cudnn.benchmark = True
before = torch.get_rng_state()
with reproof.seeded(7):
    first = torch.rand(2)
    states = reproof.collect_states()
    second = torch.rand(2)
    reproof.restore_states(states)
    assert torch.equal(second, torch.rand(2))
assert torch.equal(before, torch.get_rng_state()) and torch.backends.cudnn.benchmark
reproof.seed_everything(2**70)
""")


@pytest.mark.frameworks
@pytest.mark.needs("torch")
def test_workers_of_a_loader_differ_and_repeat() -> None:
    check("""
import reproof, numpy as np, torch
from torch.utils.data import DataLoader, Dataset

class Numbers(Dataset):
    def __len__(self): return 8
    def __getitem__(self, number): return np.random.random()

def once():
    reproof.seed_everything(3)
    return [float(x) for x in DataLoader(Numbers(), num_workers=2, worker_init_fn=reproof.worker_init_fn)]

one = once()
assert one == once() and len(set(one)) == 8, one
""")


@pytest.mark.frameworks
@pytest.mark.needs("tensorflow", "keras")
def test_tensorflow_and_keras_back() -> None:
    check("""
import reproof, numpy as np
import tensorflow as tf
import keras
reproof.seed_everything(42)
ours = tf.random.normal((2,)).numpy()
tf.random.set_seed(42)
assert (tf.random.normal((2,)).numpy() == ours).all()
keras.random.normal((2,))
states = reproof.collect_states()
def draw():
    return [np.asarray(each) for each in (tf.random.uniform((2,)), keras.random.normal((2,)))]
rest = draw()
with reproof.seeded(5):
    draw()
reproof.restore_states(states)
assert all((a == b).all() for a, b in zip(rest, draw()))
reproof.seed_everything(2**64 - 1)
""")
