"""Time-activity curves without a study: what `igdd tacs` prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from igdd import catalog, units
from igdd.errors import InputError
from igdd.types import Frames, Image, Scanner, Series, Zero

CODES = {"BQML": "Bq/mL", "GML": "g/mL", "HU": "[hnsf'U]", "CNTS": "{counts}"}


def tacs(image: Path, regions: Path, unit: str | None = None) -> Mapping[str, Any]:
    """Mean of each region in each frame, as stored: no decay or partial-volume correction is added.

    Times are in s after the file's own time zero (BIDS TimeZero, or the DICOM series' first frame).
    """
    from igdd.stages.sample import sample

    every = catalog.read_series(image)
    if len(every) != 1:
        raise InputError(
            f"{image}: {len(every)} series; expected one; give its own folder: "
            + "; ".join(one.source for one in every)
        )
    series = every[0]
    frames = _frames(series)
    values = Image(
        values=series.values,
        grid=series.grid,
        quantity="as stored",
        unit=unit or _unit(series),
        analyte="label",
        frames=frames,
    )
    curves, _ = sample(values, catalog.read_regions(regions, series.grid), Scanner())
    shown = [index for index, kind in enumerate(curves.kinds) if kind != "remainder"]
    return {
        "unit": values.unit,
        "frame_start": frames.start.tolist(),
        "frame_end": frames.end.tolist(),
        "regions": {curves.names[index]: curves.values[index].tolist() for index in shown},
        "volume_ml": {curves.names[index]: float(curves.volume[index]) for index in shown},
        "flags": sorted({*series.flags, *(flag for one in curves.flags for flag in one)}),
    }


def tsv(found: Mapping[str, Any]) -> str:
    """The curves as PETPrep writes them: frame_start, frame_end in s, a column for each region."""
    rows = ["\t".join(["frame_start", "frame_end", *found["regions"]])]
    columns = [found["frame_start"], found["frame_end"], *found["regions"].values()]
    for numbers in zip(*columns, strict=True):
        rows.append("\t".join(f"{number:.9g}" for number in numbers))
    return "\n".join(rows) + "\n"


def _unit(series: Series) -> str:
    if series.headers:
        code = str(series.headers[0].get("Units", ""))
        if code in CODES:
            return CODES[code]
    stated = series.sidecar.get("Units")
    if isinstance(stated, str) and stated:
        return units.from_ucum(stated)
    raise InputError(f"{series.source}: no unit is stated; give it with --unit, such as 'Bq/mL'")


def _frames(series: Series) -> Frames:
    count = series.values.shape[3]
    if series.headers:
        from igdd.modalities.pet_headers import pet_headers

        facts = pet_headers(series.headers)
        start = facts.acquisition.reshape(count, -1).min(axis=1)
        duration = facts.duration.reshape(count, -1).max(axis=1)
        start = start - start.min()
    else:
        sidecar = series.sidecar
        start = np.asarray(sidecar.get("FrameTimesStart", ()), dtype=float)
        duration = np.asarray(sidecar.get("FrameDuration", ()), dtype=float)
    if start.size != count or duration.size != count or not np.isfinite([start, duration]).all():
        raise InputError(
            f"{series.source}: {count} frames but {start.size} known starts and {duration.size} "
            "durations; expected FrameTimesStart and FrameDuration in the sidecar, or "
            "AcquisitionTime and ActualFrameDuration in every header"
        )
    return Frames(start=start, duration=duration, zero=Zero(kind="scan_start"))
