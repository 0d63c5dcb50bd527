"""A small network on augmented batches from a DataLoader with workers."""
import json
import random

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

random.seed(0)
np.random.seed(0)


class Noisy(Dataset):
    def __init__(self):
        self.x = torch.from_numpy(np.random.normal(size=(64, 4)).astype("float32"))
        self.y = self.x.sum(dim=1, keepdim=True)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, number):
        return self.x[number] + 0.1 * torch.randn(4), self.y[number]


def main():
    torch.set_num_threads(1)
    weights = torch.from_numpy(np.random.normal(size=(4, 1)).astype("float32")).requires_grad_()
    loader = DataLoader(Noisy(), batch_size=16, num_workers=2)
    for _ in range(2):
        for x, y in loader:
            loss = ((x @ weights - y) ** 2).mean()
            loss.backward()
            with torch.no_grad():
                weights -= 0.05 * weights.grad
            weights.grad.zero_()
    with open("result.json", "w") as file:
        json.dump({"loss": float(loss.detach()), "weights": weights.detach().flatten().tolist()}, file)


if __name__ == "__main__":
    main()
