"""A pipeline of scikit-learn, fitted, scored by folds, and kept as a pickle."""

import json
import pickle

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

rng = np.random.default_rng(2)
columns = rng.normal(size=(200, 12))
target = columns[:, 0] * 3 - columns[:, 3] + rng.normal(size=200)
model = make_pipeline(StandardScaler(), Ridge(alpha=0.5))
scores = cross_val_score(model, columns, target, cv=KFold(5, shuffle=True, random_state=9))
with open("model.pkl", "wb") as file:
    pickle.dump(model.fit(columns, target), file)
with open("result.json", "w") as file:
    json.dump({"scores": scores.tolist()}, file)
