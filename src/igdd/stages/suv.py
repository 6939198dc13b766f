"""SUV of one PET series, without a study: what `igdd suv` prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from igdd import catalog
from igdd.errors import InputError
from igdd.types import Regions, Series


def suv(path: Path, mask: Path | None = None, wanted: str | None = None) -> Mapping[str, Any]:
    """SUVbw [g/mL] of a series: minimum, median, mean and maximum, in a mask or everywhere.

    A voxel counts where its weight in the mask is at least one half. `wanted` is text in the
    description of the series meant, where a folder holds several.
    """
    from igdd.modalities.pet import suv_factor

    series = _pet_series(path, wanted)
    factor = suv_factor(series.headers)
    frames, slices = series.values.shape[3], series.values.shape[2]
    per_slice = np.asarray(factor.per_slice, dtype=float).reshape(frames, slices).T
    values = series.values * per_slice[None, None].astype(np.float32)
    flags = {*factor.flags, *series.flags}
    found: dict[str, Any] = {"series": series.source, "frames": frames}
    if mask is None:
        found["suvbw"] = _statistics(values.ravel(), None, series)
    else:
        regions = catalog.read_regions(mask, series.grid)
        flags.update(*regions.flags)
        found["suvbw"] = _in_regions(values, regions, list(regions.names), series)
        found["regions"] = {
            name: _in_regions(values, regions, [name], series) for name in regions.names
        }
    return {
        **found,
        "factor": factor.value,
        "rule": factor.rule,
        "alternatives": dict(factor.alternatives),
        "flags": sorted(flags),
    }


def text(found: Mapping[str, Any]) -> str:
    """The same for people."""
    lines = [f"series: {found['series']}"]
    rows = {"all": found["suvbw"], **found.get("regions", {})}
    if len(rows) == 2:
        rows.pop("all")
    for name, row in rows.items():
        lines.append(
            f"SUVbw {name}: min {row['min']:.4g}, median {row['median']:.4g}, "
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
    every = catalog.read_series(path)
    pet = [one for one in every if one.modality == "PT"]
    fitting = [one for one in pet if wanted is None or wanted in one.source]
    if len(fitting) != 1:
        listing = "; ".join(one.source for one in pet) or "none"
        raise InputError(
            f"{path}: {len(fitting)} PET series fit; expected one; say which with --series TEXT; "
            f"there are: {listing}"
        )
    if not fitting[0].headers:
        raise InputError(
            f"{path}: this is not DICOM; SUV needs the headers' dose, weight and times; "
            "for BIDS data run a study, which gives the same metric with an uncertainty"
        )
    return fitting[0]


def _in_regions(
    values: np.ndarray, regions: Regions, names: list[str], series: Series
) -> Mapping[str, float]:
    rows = [regions.names.index(name) for name in names]
    inside = np.asarray(regions.weights[rows].max(axis=0).todense()).ravel() >= 0.5
    return _statistics(values.reshape(-1, values.shape[3])[inside].ravel(), inside, series)


def _statistics(values: np.ndarray, inside: np.ndarray | None, series: Series) -> dict[str, float]:
    if not values.size:
        raise InputError("the mask holds no voxel of the series; expected one that overlaps it")
    count = series.grid.size if inside is None else int(inside.sum())
    return {
        "min": float(np.nanmin(values)),
        "median": float(np.nanmedian(values)),
        "mean": float(np.nanmean(values)),
        "max": float(np.nanmax(values)),
        "volume_ml": count * series.grid.voxel_volume,
    }
