"""Learners on tables, a search for parameters and an environment for agents, as users write them: without seeds."""

import json
import logging

import catboost
import gymnasium
import lightgbm
import numpy as np
import optuna
import xgboost
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

grid = np.linspace(-1, 1, 240)
features = np.stack([grid, np.sin(7 * grid), np.cos(11 * grid), grid**2], axis=1)
labels = (np.sin(5 * grid) + features[:, 2] > 0.3).astype(int)
results = {}


def split():
    return train_test_split(features, labels, test_size=0.4)


def judged(model, test, truth):
    chance = model.predict_proba(test)[:, 1]
    return [float(np.mean((chance - truth) ** 2)), *map(float, chance[:4])]


train, test, known, truth = split()
forest = RandomForestClassifier(n_estimators=12, max_features=2).fit(train, known)
network = MLPClassifier((8,), max_iter=15).fit(train, known)
results["sklearn"] = judged(forest, test, truth) + judged(network, test, truth)

train, test, known, truth = split()
model = xgboost.XGBClassifier(n_estimators=12, subsample=0.7, colsample_bytree=0.5).fit(train, known)
results["xgboost"] = judged(model, test, truth)

train, test, known, truth = split()
model = lightgbm.LGBMClassifier(
    n_estimators=12, bagging_fraction=0.7, bagging_freq=1, min_child_samples=5, verbose=-1
)
results["lightgbm"] = judged(model.fit(train, known), test, truth)

train, test, known, truth = split()
model = catboost.CatBoostClassifier(iterations=12, verbose=False, allow_writing_files=False)
results["catboost"] = judged(model.fit(train, known), test, truth)

optuna.logging.set_verbosity(logging.ERROR)
study = optuna.create_study()
study.optimize(
    lambda trial: (trial.suggest_float("x", -3, 3) - 1) ** 2 + trial.suggest_int("n", 0, 9), n_trials=14
)
results["optuna"] = [study.best_value, *(trial.params["x"] for trial in study.trials)]

world = gymnasium.make("CartPole-v1")
seen, _ = world.reset()
rewards = 0.0
for _ in range(30):
    seen, reward, over, cut, _ = world.step(world.action_space.sample())
    rewards += float(reward)
    if over or cut:
        seen, _ = world.reset()
results["gymnasium"] = [rewards, *map(float, seen)]

with open("result.json", "w") as file:
    json.dump(results, file)
