import numpy as np

CLIP = 2.5


def make_features(columns):
    clipped = np.clip(columns, -CLIP, CLIP)
    return np.hstack([clipped, clipped[:, :1] * clipped[:, 1:2]])
