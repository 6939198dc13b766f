"""Difference: what two results do not share, row by row of the tidy table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from igdd.errors import InputError
from igdd.results import COLUMNS, KEY

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = ("value", "sd", "sd_shared", "low", "high")
WORDS = tuple(name for name in COLUMNS if name not in (*KEY, *NUMBERS))
GIVES = (*KEY, "change", "column", "before", "after", "relative")
TABLES = ("measurements.parquet", "measurements.csv")


def difference(a: Path, b: Path, rtol: float = 0.0) -> pd.DataFrame:
    """What differs between the measurements of two result folders: no rows where nothing does.

    `change` is "only in first", "only in second", or "changed"; a changed row is listed once for
    each column that differs, with its content before and after and, for numbers, the change
    relative to the larger magnitude. Numbers within `rtol` of each other are the same; NaN is the
    same as NaN; words must be equal.
    """
    import pandas as pd

    if not 0 <= rtol < np.inf:
        raise InputError(f"rtol is {rtol}; expected a relative difference of 0 or more")
    first, second = _measurements(a), _measurements(b)
    both = first.merge(
        second, on=list(KEY), how="outer", suffixes=("_before", "_after"), indicator="where"
    )
    parts = [_only(both, "left_only"), _only(both, "right_only")]
    shared = both[both["where"] == "both"]
    parts += [_changed_numbers(shared, name, rtol) for name in NUMBERS]
    parts += [_changed_words(shared, name) for name in WORDS]
    found = [part for part in parts if len(part)]
    if not found:
        return pd.DataFrame(columns=list(GIVES))
    table = pd.concat(found, ignore_index=True)
    return table.sort_values([*KEY, "change", "column"], ignore_index=True, kind="stable")


def _measurements(folder: Path) -> pd.DataFrame:
    """The tidy table of a result folder, or of the file itself; missing words are empty."""
    import pandas as pd

    if not folder.exists():
        raise InputError(f"{folder}: there is no such folder; expected the results of `igdd run`")
    candidates = [folder / name for name in TABLES] if folder.is_dir() else [folder]
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        raise InputError(
            f"{folder}: holds no {' or '.join(TABLES)}; expected the results of `igdd run`"
        )
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            # As text: a parser of numbers need not return the same last digit.
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read as a table of measurements: {error}") from error
    return _checked(path, table)


def _checked(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise InputError(
            f"{path}: lacks the columns {', '.join(missing)}; expected the table of `igdd run`"
        )
    table = table[list(COLUMNS)].copy()
    texts = [name for name in COLUMNS if name not in (*NUMBERS, "time")]
    table[texts] = table[texts].fillna("").astype(str)
    for name in (*NUMBERS, "time"):
        try:
            table[name] = [float(one) if one not in ("", None) else np.nan for one in table[name]]
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}: column {name} holds words: {error}") from error
    repeated = table.duplicated(list(KEY))
    if repeated.any():
        row = table.loc[repeated, list(KEY)].iloc[0]
        raise InputError(
            f"{path}: {int(repeated.sum())} rows stand twice, the first "
            f"{', '.join(f'{name}={row[name]}' for name in KEY)}; "
            "expected each of these once: run the study again"
        )
    return table


def _only(both: pd.DataFrame, where: str) -> pd.DataFrame:
    """Rows of one side, with their value where that side stands."""
    rows = both[both["where"] == where]
    side = "before" if where == "left_only" else "after"
    content = {"before": "", "after": ""} | {side: rows[f"value_{side}"].map(repr)}
    word = "first" if side == "before" else "second"
    return rows[list(KEY)].assign(
        change=f"only in {word}", column="value", relative=np.nan, **content
    )[list(GIVES)]  # fmt: skip


def _changed_numbers(shared: pd.DataFrame, name: str, rtol: float) -> pd.DataFrame:
    before = shared[f"{name}_before"].to_numpy(float)
    after = shared[f"{name}_after"].to_numpy(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = (after - before) / np.maximum(np.abs(before), np.abs(after))
    same = (before == after) | (np.isnan(before) & np.isnan(after)) | (np.abs(relative) <= rtol)
    return _changed(shared, name, ~same, relative)


def _changed_words(shared: pd.DataFrame, name: str) -> pd.DataFrame:
    changed = (shared[f"{name}_before"] != shared[f"{name}_after"]).to_numpy(bool)
    return _changed(shared, name, changed, np.full(len(shared), np.nan))


def _changed(
    shared: pd.DataFrame, name: str, changed: np.ndarray, relative: np.ndarray
) -> pd.DataFrame:
    rows = shared[changed]
    before, after = (
        column.map(str if name in WORDS else repr)
        for column in (rows[f"{name}_before"], rows[f"{name}_after"])
    )
    return rows[list(KEY)].assign(
        change="changed", column=name, before=before, after=after, relative=relative[changed]
    )[list(GIVES)]  # fmt: skip
