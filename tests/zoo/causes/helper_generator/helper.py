import numpy as np


def augment(x, y, copies):
    """The data, and copies of it with jittered inputs."""
    rng = np.random.default_rng()
    jittered = [x + rng.normal(0, 0.02, x.size) for _ in range(copies)]
    return np.concatenate([x, *jittered]), np.tile(y, copies + 1)
