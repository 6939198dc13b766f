"""Time-activity curves without a study: what `igdd tacs` prints."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from igdd import catalog, units
from igdd.errors import InputError, UnitsError
from igdd.headers import quiet, text
from igdd.io.tac_table import DURATIONS, ENDS, MIDDLES, STARTS, WEIGHINGS
from igdd.types import Frames, Regions, Series, Zero

# Units (0054,1001) of DICOM, as igdd spells them.
CODES = {"BQML": "Bq/mL", "GML": "g/mL", "CM2ML": "cm2/mL", "CNTS": "counts"}
# PET-BIDS' words for a nuclide and its decay state.
DECAY = ("TracerRadionuclide", "ImageDecayCorrected", "ImageDecayCorrectionTime")
# What says whether the times count from the injection.
CLOCK = ("InjectionStart",)
# Columns of a table of curves that say when, or how much a frame counts, not where.
TIMES = frozenset({*STARTS, *ENDS, *DURATIONS, *MIDDLES, *WEIGHINGS})


def tacs(image: Path, regions: Path, unit: str | None = None) -> Mapping[str, Any]:
    """Mean of each region in each frame, as stored: no decay or partial-volume correction is added.

    Times are in s after the file's own time zero (BIDS TimeZero, or the DICOM series' first frame).
    The mean is weighted by each voxel's share in the region; voxels without a value are left out.
    """
    every = catalog.read_series(image)
    if len(every) != 1:
        raise InputError(
            f"{image}: {len(every)} series; expected one; give its own folder: "
            + "; ".join(one.source for one in every)
        )
    series = every[0]
    frames = _frames(series)
    wanted = _unit(series, unit)
    drawn = catalog.read_regions(regions, series.grid)
    means, holes = _means(series, drawn)
    flags = {*series.flags, *(flag for one in drawn.flags for flag in one)}
    flags |= {"nan_voxels"} if holes else set()
    flags |= {"empty_region"} if not (drawn.volume > 0).all() else set()
    return {
        "unit": wanted,
        "frame_start": frames.start.tolist(),
        "frame_end": frames.end.tolist(),
        "regions": {name: means[row].tolist() for row, name in enumerate(drawn.names)},
        "volume_ml": {name: float(drawn.volume[row]) for row, name in enumerate(drawn.names)},
        "flags": sorted(flags),
        "decay": _decay(series),
        "clock": {key: series.sidecar[key] for key in CLOCK if key in series.sidecar},
    }


def tsv(found: Mapping[str, Any]) -> str:
    """The curves as PETPrep writes them: frame_start, frame_end in s, a column for each region."""
    rows = ["\t".join(["frame_start", "frame_end", *_columns(found)])]
    columns = [found["frame_start"], found["frame_end"], *found["regions"].values()]
    for numbers in zip(*columns, strict=True):
        # The shortest text that gives the same number again.
        rows.append("\t".join("n/a" if x != x else repr(float(x)) for x in numbers))
    return "\n".join(rows) + "\n"


def described(found: Mapping[str, Any]) -> str:
    """The JSON that stands beside the table: units, without which no reader takes it, and the decay
    state in PET-BIDS' words."""
    known: dict[str, Any] = {"frame_start": {"Units": "s"}, "frame_end": {"Units": "s"}}
    known |= found["decay"] | found["clock"]
    volumes = found["volume_ml"].values()
    for column, volume in zip(_columns(found), volumes, strict=True):
        known[column] = {"Units": found["unit"], "VolumeInMilliliters": volume}
    return json.dumps(known, indent=2, ensure_ascii=False) + "\n"


def check_free(out: Path) -> None:
    """Refuse a path for the table where something is already; nothing is overwritten."""
    beside = out.with_suffix(".json")
    if beside == out:
        raise InputError(f"{out}: expected a table, such as {out.with_suffix('.tsv').name}")
    for path in (out, beside):
        if path.exists() or path.is_symlink():
            raise InputError(f"{path} is already there; nothing is overwritten; give another --out")


def write(found: Mapping[str, Any], out: Path) -> None:
    """Write the table, and beside it the JSON that states its units."""
    check_free(out)
    for path, content in ((out, tsv(found)), (out.with_suffix(".json"), described(found))):
        try:
            with path.open("x", encoding="utf-8") as stream:
                stream.write(content)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def _columns(found: Mapping[str, Any]) -> list[str]:
    """Names of the regions' columns; one with brackets carries its unit, which ends the name."""
    columns = []
    for name in found["regions"]:
        plain = re.sub(r"\s+", " ", name).strip()
        if plain.split("[")[0].strip().lower() in TIMES:
            raise InputError(
                f"region {name!r} has the name of a column of times; expected another; rename it"
            )
        columns.append(f"{plain}[{found['unit']}]" if re.search(r"[\[\]()]", plain) else plain)
    if len(set(columns)) != len(columns):
        raise InputError("two regions differ only in blanks; expected names that differ; rename")
    return columns


def _means(series: Series, regions: Regions) -> tuple[np.ndarray, bool]:
    """Weighted means (region, time), NaN where a region is empty; whether values were missing."""
    frames = series.values.shape[3]
    means = np.full((len(regions.names), frames), np.nan)
    holes = False
    for time in range(frames):
        values = series.values[..., time].ravel().astype(float)
        known = np.isfinite(values)
        inside = np.asarray(regions.weights @ known.astype(float))
        total = np.asarray(regions.weights @ np.where(known, values, 0.0))
        np.divide(total, inside, out=means[:, time], where=inside > 0)
        missing = np.asarray(regions.weights @ (~known).astype(float))
        holes = holes or bool((missing > 0).any())
    return means, holes


def _unit(series: Series, given: str | None) -> str:
    """Unit of the stored values: as the file states it, else as the caller does."""
    stated = stated_unit(series)
    if given is None:
        if stated is None:
            raise InputError(
                f"{series.source}: no unit is stated; give it with --unit, such as 'Bq/mL'"
            )
        return stated
    wanted = units.from_ucum(given)
    if stated is not None and stated != wanted:
        raise InputError(
            f"{series.source}: the file states {stated} but --unit says {wanted}; expected one of "
            "them; leave --unit out, or correct the file"
        )
    return wanted


def stated_unit(series: Series) -> str | None:
    """Unit of the stored values as the file states it, or None."""
    if series.headers:
        with quiet():
            code = text(series.headers[0], "Units")
            rescaled = text(series.headers[0], "RescaleType")
        if code is None:
            return "HU" if series.modality == "CT" or rescaled == "HU" else None
        if code not in CODES:
            raise UnitsError(
                f"{series.source}: Units (0054,1001) is {code}; expected {', '.join(CODES)}"
            )
        return CODES[code]
    stated = series.sidecar.get("Units")
    return units.from_ucum(stated) if isinstance(stated, str) and stated.strip() else None


def _decay(series: Series) -> dict[str, Any]:
    """Nuclide, and the instant to which values are corrected, as the files say; in s after the
    curves' own time zero."""
    if not series.headers:
        return {key: series.sidecar[key] for key in DECAY if key in series.sidecar}
    from igdd.modalities._decay_reference import decay_reference
    from igdd.modalities.pet_headers import pet_headers

    with quiet():
        facts = pet_headers(series.headers)
    if facts.nuclide is None:
        return {}
    known: dict[str, Any] = {DECAY[0]: facts.nuclide}
    if facts.decay_correction == "NONE":
        return known | {DECAY[1]: False}
    instant = facts.administration if facts.decay_correction == "ADMIN" else np.nan
    if facts.decay_correction == "START":
        try:
            instant = float(decay_reference(facts, facts.administration).seconds[0])
        except InputError:
            return known
    if not np.isfinite(instant - facts.first_acquisition):
        return known
    return known | {DECAY[1]: True, DECAY[2]: instant - facts.first_acquisition}


def _frames(series: Series) -> Frames:
    count = series.values.shape[3]
    if series.headers:
        from igdd.modalities.pet_headers import pet_headers

        with quiet():
            facts = pet_headers(series.headers)
        begun = facts.acquisition.reshape(count, -1)
        # Beds of a frame follow one another: it lasts from the first's start to the last's end.
        start = begun.min(axis=1)
        duration = (begun + facts.duration.reshape(count, -1)).max(axis=1) - start
        start = start - start.min()
    else:
        sidecar = series.sidecar
        start = np.asarray(sidecar.get("FrameTimesStart", ()), dtype=float)
        duration = np.asarray(sidecar.get("FrameDuration", ()), dtype=float)
    known = start.size == count == duration.size
    if not known or not np.isfinite([start, duration]).all():
        raise InputError(
            f"{series.source}: {count} frames but {start.size} starts and {duration.size} "
            "durations, or one of them is unknown; expected FrameTimesStart and FrameDuration in "
            "the sidecar, or AcquisitionTime and ActualFrameDuration in every header"
        )
    try:
        return Frames(start=start, duration=duration, zero=Zero(kind="scan_start"))
    except InputError as error:
        raise InputError(f"{series.source}: {error}") from error
