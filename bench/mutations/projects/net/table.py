import torch


def load(name):
    with open(name) as file:
        rows = [[float(value) for value in line.split(",")] for line in file.readlines()[1:]]
    table = torch.tensor(rows)
    return table[:, :-1], table[:, -1]
