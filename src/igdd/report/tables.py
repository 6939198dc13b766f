"""Tables: measurements and findings as files; equal Results give equal bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from igdd.results import COLUMNS, FINDINGS, KEY, Results

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = ("time", "value", "sd", "sd_shared", "low", "high")
FINDING_NUMBERS = ("estimate", "low", "high", "p", "p_adjusted")


def write_tables(results: Results, folder: Path) -> tuple[Path, Path, Path]:
    """Write measurements.csv, measurements.parquet and findings.csv; answer their paths.

    Rows are sorted by the table's key. Numbers in the CSV are the shortest text that reads back
    as the same double; an unknown number is empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = ordered(results.measurements)
    measurements = folder / "measurements.csv"
    _write_csv(rows, measurements)
    columns = folder / "measurements.parquet"
    _write_parquet(rows, columns)
    findings = folder / "findings.csv"
    _write_csv(_typed(results.findings, FINDINGS, FINDING_NUMBERS), findings)
    return measurements, columns, findings


def ordered(measurements: pd.DataFrame) -> pd.DataFrame:
    """The tidy table with its declared columns and types, sorted by its key."""
    rows = _typed(measurements, COLUMNS, NUMBERS)
    return rows.sort_values(list(KEY), kind="stable", na_position="last", ignore_index=True)


def _typed(table: pd.DataFrame, columns: tuple[str, ...], numbers: tuple[str, ...]) -> pd.DataFrame:
    return table.reindex(columns=list(columns)).assign(
        **{name: table[name].astype("float64") for name in numbers if name in table}
    )


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def _write_parquet(rows: pd.DataFrame, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Built column by column: pandas' own metadata would carry its version into the bytes.
    kinds = {name: pa.float64() if name in NUMBERS else pa.string() for name in COLUMNS}
    arrays = [
        pa.array(rows[name].to_numpy(), type=kind, from_pandas=name not in NUMBERS)
        for name, kind in kinds.items()
    ]
    schema = pa.schema(list(kinds.items()))
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=schema),
        path,
        compression="zstd",
        compression_level=3,
        row_group_size=1 << 20,
        version="2.6",
        data_page_version="1.0",
        store_schema=False,
    )
