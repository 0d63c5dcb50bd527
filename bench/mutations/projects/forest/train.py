import argparse
import json

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import train_test_split

from features import make_features

parser = argparse.ArgumentParser()
parser.add_argument("--trees", type=int, default=20)
parser.add_argument("--leaf", type=int, default=2)
options = parser.parse_args()

table = np.loadtxt("houses.csv", delimiter=",", skiprows=1)
inputs, target = make_features(table[:, :-1]), table[:, -1]
train_x, test_x, train_y, test_y = train_test_split(inputs, target, test_size=0.25, random_state=3)
forest = RandomForestRegressor(n_estimators=options.trees, min_samples_leaf=options.leaf)
forest.fit(train_x, train_y)
rmse = float(mean_squared_error(test_y, forest.predict(test_x)) ** 0.5)
with open("result.json", "w") as file:
    json.dump({"rmse": rmse, "importances": forest.feature_importances_.tolist()}, file)
