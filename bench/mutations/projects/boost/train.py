import json

import numpy as np
import xgboost

with open("params.json") as file:
    params = json.load(file)
rounds = params.pop("rounds")
table = np.loadtxt("houses.csv", delimiter=",", skiprows=1)
cut = len(table) * 3 // 4
train = xgboost.DMatrix(table[:cut, :-1], table[:cut, -1])
test = xgboost.DMatrix(table[cut:, :-1], table[cut:, -1])
booster = xgboost.train(params, train, num_boost_round=rounds)
predictions = booster.predict(test)
rmse = float(np.sqrt(((predictions - table[cut:, -1]) ** 2).mean()))
with open("result.json", "w") as file:
    json.dump({"rmse": rmse, "predictions": predictions.tolist()}, file)
booster.save_model("model.json")
