"""Predicts each row of a table, and writes the predictions into a file."""

import mlflow

from bikes import tracking
from bikes.data import FEATURES, read_table
from bikes.settings import Inference, flat


def run(settings: Inference) -> None:
    """Write `output`: the day and hour of each row, and the bikes that will be rented in it."""
    table = read_table(settings.data.path, with_target=False)
    with tracking.start(settings.step) as active:
        mlflow.log_params(flat(settings, "data"))
        pipeline = tracking.load_model(settings.model, active)
        rows = table[["day", "hr"]].astype(int)
        rows = rows.assign(predicted=pipeline.predict(table[list(FEATURES)]))
        settings.output.parent.mkdir(parents=True, exist_ok=True)
        rows.to_csv(settings.output, index_label="row", lineterminator="\n")
        mlflow.log_artifact(str(settings.output))
    print(f"wrote {settings.output} ({len(rows):,} rows)")
