"""Which features a model relies on: how much worse it is when the values of one are shuffled."""

import matplotlib
import mlflow
from matplotlib.figure import Figure
from sklearn.inspection import permutation_importance

from bikes import tracking
from bikes.data import FEATURES, TARGET, read_table, split_table
from bikes.results import write_results
from bikes.settings import Explanations, flat

matplotlib.use("agg")  # files only: there may be no screen


def run(settings: Explanations) -> None:
    """Write the increase of the RMSE for each feature to `output`, and draw it in `plot`."""
    table = read_table(settings.data.path)
    _, test = split_table(table, settings.split)
    with tracking.start(settings.step) as active:
        mlflow.log_params(flat(settings, "data", "split"))
        pipeline = tracking.load_model(settings.model, active)
        found = permutation_importance(
            pipeline,
            test[list(FEATURES)],
            test[TARGET],
            scoring="neg_root_mean_squared_error",
            n_repeats=settings.repeats,
            random_state=settings.seed,
            n_jobs=1,
        )
        pairs = zip(FEATURES, found.importances_mean, found.importances_std, strict=True)
        rows = sorted(
            ((name, float(mean), float(std)) for name, mean, std in pairs), key=lambda row: -row[1]
        )
        write_results(
            settings.output, {name: {"mean": mean, "std": std} for name, mean, std in rows}
        )
        _draw(rows).savefig(settings.plot, metadata={"Software": None})
        mlflow.log_metrics({f"importance.{name}": mean for name, mean, _ in rows})
        mlflow.log_artifact(str(settings.plot))
    print(f"relies most on {rows[0][0]}: RMSE +{rows[0][1]:.2f} bikes per hour without it")


def _draw(rows: list[tuple[str, float, float]]) -> Figure:
    """Bars, the most important feature on top, with the spread over the repeats."""
    names, means, spreads = zip(*reversed(rows), strict=True)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.barh(names, means, xerr=spreads, color="#4a63d0")
    axes.set_xlabel("RMSE added when the feature is shuffled, bikes per hour")
    return figure
