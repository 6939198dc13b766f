"""Response maps without a study: what `igdd filter` writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from igdd import provenance
from igdd.errors import InputError
from igdd.flags import FLAGS
from igdd.io import bids
from igdd.metrics.ibsi_configuration import configuration
from igdd.metrics.ibsi_filters import Filter
from igdd.metrics.ibsi_prepare import interpolated
from igdd.metrics.ibsi_response import reference_filters, response
from igdd.stages.features import chosen_frame, only_series
from igdd.types import Grid

# "phase1_3.b.2": the filter of a response map of IBSI 2, on the image as it is.
_FIRST = re.compile(r"(?:ibsi[\s_-]*2[\s_-]+)?phase[\s_-]*1[\s_-]+(.+)", re.IGNORECASE)
ENDINGS = (".nii", ".nii.gz")


def write_response(
    image: Path, out: Path, config: str, frame: int | None = None
) -> Mapping[str, Any]:
    """Write the response of an image to the filter of a configuration, and its settings beside it.

    config  name of a configuration with a filter, the path of one, or "phase1_3.b.2" for the filter
            of a response map of IBSI 2

    The image is interpolated as the configuration has it; NaN where a voxel without a value has a
    part in the response.
    """
    if not out.name.endswith(ENDINGS):
        raise InputError(f"{out}: expected a name that ends in {' or '.join(ENDINGS)}")
    if out.exists():
        raise InputError(f"{out} is already there; nothing is overwritten; give another --out")
    series = only_series(image)
    values = series.values[..., chosen_frame(series, frame)]
    made, grid, settings = _respond(values, series.grid, config)
    known = np.isfinite(values).all()
    about = {
        "Filter": asdict(settings),
        "Reference": "IBSI 2, arXiv:2006.05470",
        "Sources": {image.name: provenance.sha256(image)} if image.is_file() else {},
        "Software": provenance.versions(),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    paths = bids.write_nifti(out, made.astype(np.float32), grid, about)
    return {
        "filter": asdict(settings),
        "shape": list(made.shape),
        "spacing_mm": [float(size) for size in grid.spacing],
        "flags": sorted({*series.flags, *(() if known else ("nan_voxels",))}),
        "files": [str(path) for path in paths],
    }


def text(found: Mapping[str, Any]) -> str:
    """What was written, as lines."""
    settings = ", ".join(f"{key} {value}" for key, value in found["filter"].items() if value)
    return "\n".join([
        settings,
        *(f"{flag}: {FLAGS[flag]}" for flag in found["flags"]),
        *(f"  {path}" for path in found["files"]),
    ])  # fmt: skip


def _respond(values: np.ndarray, grid: Grid, config: str) -> tuple[np.ndarray, Grid, Filter]:
    first = _FIRST.fullmatch(config.strip())
    if first is not None:
        known = reference_filters()
        if first[1].lower() not in known:
            raise InputError(
                f"response map {first[1]!r} is not known; expected one of {', '.join(known)}"
            )
        chosen = known[first[1].lower()]
        return response(values, grid.spacing, chosen), grid, chosen
    settings = configuration(config)
    if settings.filter is None:
        raise InputError(
            f"configuration {settings.name} has no [filter]; expected one, such as ibsi2_3b"
        )
    lattice, start, spacing = interpolated(values, grid.spacing, settings)
    step = np.eye(4)
    step[:3, :3] = np.diag(spacing / grid.spacing)
    step[:3, 3] = start
    size = lattice.shape
    placed = Grid(shape=(size[0], size[1], size[2]), affine=grid.affine @ step)
    return response(lattice, spacing, settings.filter), placed, settings.filter
