"""A small network on augmented batches from a DataLoader with workers."""
import json

import torch
from torch.utils.data import DataLoader, Dataset


class Noisy(Dataset):
    def __init__(self):
        self.x = torch.randn(64, 4)
        self.y = self.x.sum(dim=1, keepdim=True)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, number):
        return self.x[number] + 0.1 * torch.randn(4), self.y[number]


def main():
    torch.manual_seed(42)
    torch.set_num_threads(1)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    order = torch.Generator().manual_seed(42)
    loader = DataLoader(Noisy(), batch_size=16, shuffle=True, num_workers=2, generator=order)
    for _ in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
    with open("result.json", "w") as file:
        json.dump({"loss": float(loss.detach()), "weights": model.weight.detach().flatten().tolist()}, file)


if __name__ == "__main__":
    main()
