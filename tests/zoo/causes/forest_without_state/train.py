import json

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import train_test_split

rng = np.random.default_rng(42)
X = rng.uniform(-1, 1, (150, 4))
y = np.sin(3 * X[:, 0]) + X[:, 1] ** 2 + rng.normal(0, 0.1, 150)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=42)

model = RandomForestRegressor(n_estimators=10, max_features=2)
model.fit(X_train, y_train)
predictions = model.predict(X_test)
rmse = float(np.sqrt(np.mean((predictions - y_test) ** 2)))

with open("result.json", "w") as f:
    json.dump({"rmse": rmse, "importances": model.feature_importances_.tolist()}, f)
