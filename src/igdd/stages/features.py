"""IBSI features of an image without a study: what `igdd features` prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from igdd import catalog
from igdd.errors import InputError
from igdd.flags import FLAGS, join
from igdd.metrics.ibsi_configuration import configuration
from igdd.metrics.ibsi_diagnostics import diagnostics
from igdd.metrics.texture import DEFAULT, Features, expected
from igdd.metrics.texture import features as compute
from igdd.types import Regions, Series


def features(
    image: Path,
    mask: Path,
    config: str = DEFAULT,
    region: str | None = None,
    frame: int | None = None,
) -> Mapping[str, Any]:
    """Every feature of one region of one image by a configuration, as stored in the file.

    region  its name where the mask holds several
    frame   its number from 0 where the image holds several

    The values by IBSI tag, their codes and units, the flags, and the diagnostics of every step.
    """
    settings = configuration(config)
    series = only_series(image)
    drawn = catalog.read_regions(mask, series.grid)
    name = chosen_region(mask, drawn, region)
    values = series.values[..., chosen_frame(series, frame)]
    weights = drawn.mask(name)
    found = compute(values, weights, series.grid.spacing, settings)
    flags = {*series.flags, *drawn.flags[drawn.names.index(name)], *found.flags}
    with np.errstate(all="ignore"):
        steps = diagnostics(values, weights, series.grid.spacing, settings)
    return {
        "region": name,
        "configuration": settings.name,
        "hash": settings.hash,
        "flags": sorted(flags),
        "features": _rows(found),
        "diagnostics": steps,
    }


def tags(found: Mapping[str, Any]) -> dict[str, Any]:
    """Values and diagnostics by their IBSI tags; and "flags", where there is something to say."""
    values = {row["tag"]: row["value"] for row in found["features"]}
    said = {"flags": found["flags"]} if found["flags"] else {}
    return {**values, **found["diagnostics"], **said}


def text(found: Mapping[str, Any]) -> str:
    """One line per feature: tag, value, unit, IBSI code; above them the settings and the flags."""
    width = max(len(row["tag"]) for row in found["features"])
    lines = [
        f"region {found['region']}; configuration {found['configuration']} ({found['hash']})",
        *(f"{flag}: {FLAGS[flag]}" for flag in found["flags"]),
        *(
            f"{row['tag']:{width}}  {row['value']:<12.6g} {row['unit']:10} {row['code']}"
            for row in found["features"]
        ),
    ]
    return "\n".join(lines)


def _rows(found: Features) -> list[dict[str, Any]]:
    rows = []
    for tag, feature in expected(found.configuration).items():
        value = found.values[tag]
        rows.append({
            "tag": tag,
            "value": value,
            "unit": feature.unit_of("image"),
            "code": feature.code,
            "aggregation": tag[len(feature.tag) + 1 :],
            "name": feature.name,
            "flags": join(() if np.isfinite(value) else ("feature_undefined",)),
        })  # fmt: skip
    return rows


def only_series(image: Path) -> Series:
    """The one series at a path."""
    every = catalog.read_series(image)
    if len(every) != 1:
        raise InputError(
            f"{image}: {len(every)} series; expected one; give its own folder: "
            + "; ".join(one.source for one in every)
        )
    return every[0]


def chosen_region(mask: Path, drawn: Regions, wanted: str | None) -> str:
    """Name of the region meant: the one there is, or the one that is asked for."""
    if wanted is None and len(drawn.names) == 1:
        return drawn.names[0]
    if wanted in drawn.names:
        return str(wanted)
    if not drawn.names:
        raise InputError(f"{mask}: no voxel belongs to a region; expected some above 0")
    found = ", ".join(drawn.names)
    said = f"no region {wanted!r}" if wanted is not None else f"{len(drawn.names)} regions"
    raise InputError(f"{mask}: {said}; expected one of: {found}; name it with --region")


def chosen_frame(series: Series, wanted: int | None) -> int:
    """Number of the frame meant, likewise."""
    count = series.values.shape[3]
    if wanted is None and count == 1:
        return 0
    if wanted is not None and 0 <= wanted < count:
        return wanted
    raise InputError(
        f"{series.source}: {count} frames, and --frame is {wanted}; expected 0 to {count - 1}"
    )
