"""SUV of one PET series, without a study: what `igdd suv` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from igdd import catalog
from igdd.errors import InputError
from igdd.io import dicom_series, nifti
from igdd.types import Regions, Series

# A voxel counts where at least this share of it lies in the mask.
INSIDE = 0.5
# Voxels that are looked at together, so that no further copy of the image is made.
PART = 1 << 20


def suv(path: Path, mask: Path | None = None, wanted: str | None = None) -> Mapping[str, Any]:
    """SUVbw [g/mL] of a series: minimum, median, mean and maximum, in a mask or everywhere.

    A voxel counts where its weight in the mask is at least one half. `wanted` is text in the
    description of the series meant, where a folder holds several. In a mask of several regions,
    one without such a voxel is NaN with the flag `empty_region`.
    """
    from igdd.modalities.pet import suv_factor

    series = _pet_series(path, wanted)
    try:
        factor = suv_factor(series.headers)
    except InputError as error:
        raise InputError(
            f"{path}: {error}; a study can declare what the header lacks: igdd new"
        ) from error
    frames, slices = series.values.shape[3], series.values.shape[2]
    per_slice = np.asarray(factor.per_slice, dtype=float).reshape(frames, slices).T
    flags = {*factor.flags, *series.flags}
    found: dict[str, Any] = {"series": series.source, "frames": frames}
    if mask is None:
        found["suvbw"] = _everywhere(series, per_slice)
    else:
        regions = catalog.read_regions(mask, series.grid)
        flags.update(*regions.flags)
        found["suvbw"] = _within(series, per_slice, regions, range(len(regions.names)))
        if not found["suvbw"]["volume_ml"]:
            raise InputError(
                f"{mask}: no voxel of the series {series.source} lies at least half in it; "
                "expected a mask that overlaps it; is it of another scan?"
            )
        found["regions"] = {
            name: _within(series, per_slice, regions, [row])
            for row, name in enumerate(regions.names)
        }
        if any(not one["volume_ml"] for one in found["regions"].values()):
            flags.add("empty_region")
    return {
        **found,
        "factor": float(factor.value),
        "rule": factor.rule,
        "alternatives": {name: float(value) for name, value in factor.alternatives.items()},
        "flags": sorted(flags),
    }


def text(found: Mapping[str, Any]) -> str:
    """The same for people."""
    lines = [f"series: {found['series']}"]
    rows = {"all": found["suvbw"], **found.get("regions", {})}
    if len(rows) == 2:
        rows.pop("all")
    width = max(len(name) for name in rows)
    for name, row in rows.items():
        lines.append(
            f"SUVbw {name:{width}}  min {row['min']:.4g}, median {row['median']:.4g}, "
            f"mean {row['mean']:.4g}, max {row['max']:.4g} g/mL in {row['volume_ml']:.4g} mL"
        )
    lines.append(f"rule: {found['rule']}")
    lines += [
        f"otherwise ({name}): factor {value:.6g}, {100 * (value / found['factor'] - 1):+.2f} %"
        for name, value in found["alternatives"].items()
    ]
    if found["flags"]:
        lines.append("flags: " + ", ".join(found["flags"]))
    return "\n".join(lines)


def _pet_series(path: Path, wanted: str | None) -> Series:
    """The one PET series meant; only its pixels are read."""
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder; check the path")
    if not dicom_series.sniff(path) and nifti.sniff(path):
        raise InputError(
            f"{path}: this is not DICOM; SUV needs the headers' dose, weight and times; "
            "for BIDS data run a study, which gives the same metric with an uncertainty"
        )
    rows = [row for row in dicom_series.describe(path) if row["modality"] == "PT"]
    named = {_name(row): row for row in rows}
    fitting = [row for name, row in named.items() if wanted is None or wanted in name]
    if len(fitting) != 1:
        listing = "; ".join(named) or "none"
        remedy = "say which with --series TEXT; " if named else ""
        raise InputError(
            f"{path}: {len(fitting)} PET series fit; expected one; {remedy}there are: {listing}"
        )
    series = dicom_series.read(path, modality="PT", series=str(fitting[0]["uid"]))
    if len(series) != 1:
        raise InputError(f"{path}: {len(series)} series share one UID; expected one; separate them")
    return series[0]


def _name(row: Mapping[str, Any]) -> str:
    """A series as its reader calls it, to be told apart."""
    words = ["PT series"] + [str(row["number"])] * bool(row.get("number"))
    words += [repr(row["description"])] if row.get("description") else []
    return " ".join(words) + f" ({row['series']})"


def _everywhere(series: Series, per_slice: np.ndarray) -> dict[str, float]:
    """Statistics of all voxels; one copy of the values is made, slice by slice."""
    values = np.empty(series.values.shape[::-1], dtype=np.float32)
    for time in range(series.values.shape[3]):
        for k in range(series.values.shape[2]):
            plane = series.values[:, :, k, time].T
            np.multiply(plane, np.float32(per_slice[k, time]), out=values[time, k])
    return _statistics(values.reshape(-1), series.grid.size * series.grid.voxel_volume)


def _within(
    series: Series, per_slice: np.ndarray, regions: Regions, rows: Sequence[int]
) -> dict[str, float]:
    """Statistics of the voxels in any of some regions, over all frames."""
    share = np.asarray(regions.weights[list(rows)].max(axis=0).todense()).ravel()
    i, j, k = np.unravel_index(np.flatnonzero(share >= INSIDE), series.grid.shape)
    values = series.values[i, j, k] * per_slice[k]
    return _statistics(values.ravel(), i.size * series.grid.voxel_volume)


def _statistics(values: np.ndarray, volume: float) -> dict[str, float]:
    """Minimum, median, mean and maximum of those that are numbers; `values` is put in order."""
    parts = (values[start : start + PART] for start in range(0, values.size, PART))
    count = sum(int(np.count_nonzero(part == part)) for part in parts)  # NaN equals nothing
    if not count:
        unknown = dict.fromkeys(("min", "median", "mean", "max"), float("nan"))
        return {**unknown, "volume_ml": float(volume)}
    middle = sorted({(count - 1) // 2, count // 2})
    values.partition([*middle, count - 1])  # in place; NaN go to the end
    numbers = values[:count]
    return {
        "min": float(numbers.min()),
        "median": float(np.mean(numbers[middle], dtype=float)),
        "mean": float(np.mean(numbers, dtype=float)),
        "max": float(numbers.max()),
        "volume_ml": float(volume),
    }
