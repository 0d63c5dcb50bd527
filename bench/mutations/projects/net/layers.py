import torch

WIDTH = 64


def make_network(inputs):
    return torch.nn.Sequential(
        torch.nn.Linear(inputs, WIDTH), torch.nn.Tanh(), torch.nn.Linear(WIDTH, WIDTH), torch.nn.Tanh(), torch.nn.Linear(WIDTH, 1)
    )
