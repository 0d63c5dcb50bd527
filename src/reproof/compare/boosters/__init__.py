"""Models of gradient boosting libraries in their own formats: XGBoost, LightGBM, CatBoost."""
