"""The model: names become indicator columns, then a random forest."""

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from bikes.data import CATEGORIES, NUMBERS
from bikes.settings import Forest


def make_pipeline(settings: Forest) -> Pipeline:
    """An unfitted pipeline from a table of features to the number of rented bikes.

    It consists of scikit-learn's own parts alone, so that it can be loaded without this package.
    """
    # A name that training did not meet (a month, when testing on the end of the year)
    # becomes zeros in all its columns.
    names = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer(
        [("names", names, list(CATEGORIES)), ("numbers", "passthrough", list(NUMBERS))]
    )
    forest = RandomForestRegressor(
        n_estimators=settings.n_estimators,
        max_depth=settings.max_depth,
        min_samples_leaf=settings.min_samples_leaf,
        max_features=settings.max_features,
        random_state=settings.random_state,
        # With more, predictions of the trees are added up in the order in which the threads
        # finish, and the last bits of the sum vary from run to run.
        n_jobs=1,
    )
    return Pipeline([("columns", columns), ("forest", forest)])
