"""Checks the table of hourly rentals, and keeps the columns that the other steps need."""

import mlflow

from bikes import tracking
from bikes.data import as_dataset, read_table
from bikes.errors import BikesError
from bikes.settings import Preparation, flat


def run(settings: Preparation) -> None:
    """Write `output`: the hours that can be used, in the order of time.

    Raises:
        BikesError: No hour can be used.
    """
    table = read_table(settings.data.path)
    with tracking.start(settings.step):
        mlflow.log_params(flat(settings, "data"))
        mlflow.log_input(as_dataset(table, settings.data.path), context=settings.step)
        # A humidity of exactly 0 is a sensor that failed, not weather.
        usable = table[table["hum"] > 0]
        if usable.empty:
            raise BikesError(f"`{settings.data.path}` has no hour that can be used")
        mlflow.log_metrics({"rows": len(usable), "rows_left_out": len(table) - len(usable)})
        settings.output.parent.mkdir(parents=True, exist_ok=True)
        usable.to_csv(settings.output, index=False, lineterminator="\n")
    print(f"kept {len(usable):,} of {len(table):,} hours")
