import numpy as np


def bootstrap(values, rounds=300, state=None):
    """A 90 % interval of the mean."""
    state = state or np.random.RandomState()
    means = [state.choice(values, values.size).mean() for _ in range(rounds)]
    return float(np.quantile(means, 0.05)), float(np.quantile(means, 0.95))
