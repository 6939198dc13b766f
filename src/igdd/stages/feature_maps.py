"""Feature maps without a study: texture and spread around each voxel, as images.

What `igdd features --window` writes: one NIfTI image for each feature, on the voxels that a
configuration asks for: the image's own, unless it interpolates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from igdd import catalog, provenance, units
from igdd.errors import InputError
from igdd.flags import FLAGS
from igdd.io import bids
from igdd.metrics.ibsi_configuration import Configuration, configuration
from igdd.metrics.ibsi_prepare import grey_levels, interpolated, resegment
from igdd.metrics.ibsi_response import response
from igdd.metrics.texture import DEFAULT, FEW, table
from igdd.stages.features import chosen_frame, chosen_region, only_series
from igdd.types import Grid

AGGREGATIONS = {"3D_comb": True, "3D_avg": False}
# Features of the window that IBSI does not define: unit and meaning.
OWN = {
    "gini": ("1", "Gini index of the window"),
    "window_voxels": ("1", "voxels of the window that lie in the region"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Windowed:
    """Features (voxel,) by tag, in the voxels `inside` (i, j, k), and the window they are of.

    window   (a, b, c) mask around the middle voxel
    first    (3,) place of the first voxel in voxels of the image itself; `spacing` (3,) in mm
    """

    maps: Mapping[str, np.ndarray]
    inside: np.ndarray
    window: np.ndarray
    first: np.ndarray
    spacing: np.ndarray
    flags: tuple[str, ...]


def windowed(
    image: np.ndarray,
    mask: np.ndarray,
    spacing: np.ndarray,
    diameter: float,
    settings: Configuration,
) -> Windowed:
    """Features of the ball of a diameter in mm around every voxel of a region of an image.

    mask  (i, j, k) share of each voxel in the region; from one half up the voxel belongs to it

    The image is interpolated, filtered and re-segmented as the configuration has it, and the maps
    are on the lattice that this makes. Grey levels are those of the whole region. A voxel without a
    value has no map value and is in nobody's window.
    """
    from igdd.kernels import moving_window

    _check(settings)
    values, region, first, sides = _prepared(image, mask, spacing, settings)
    inside = resegment(values, region & np.isfinite(values), settings)
    if settings.filter is not None:
        values = response(values, sides, settings.filter)
        inside = inside & np.isfinite(values)
    if not inside.any():
        raise InputError(
            f"the region holds {int(region.sum())} voxels, and none of them has a value in range; "
            "expected at least one; is the mask of another image?"
        )
    window = moving_window.ball(diameter, sides)
    found, number = grey_levels(values[inside], settings.discretise)
    cut = _around(inside)
    levels = np.zeros(inside.shape, np.int64)
    levels[inside] = found
    with np.errstate(all="ignore"):
        spread = moving_window.spread_map(values[cut], levels[cut], window)
    maps = dict(zip(_spread_tags(moving_window.SPREAD), spread.T, strict=True))
    tags = [feature.tag for feature in table() if feature.family == "cm"]
    for ending in settings.aggregations:
        of_pairs = moving_window.texture_map(
            levels[cut], window, number, merged=AGGREGATIONS[ending]
        )
        maps |= dict(zip([f"{tag}_{ending}" for tag in tags], of_pairs.T, strict=True))
    return Windowed(
        maps={tag: np.where(np.isfinite(one), one, np.nan) for tag, one in maps.items()},
        inside=inside,
        window=window,
        first=first,
        spacing=sides,
        flags=_flags(maps, region, np.isfinite(values)),
    )


def write_feature_maps(
    image: Path,
    mask: Path,
    window: str,
    out: Path,
    config: str = DEFAULT,
    *,
    region: str | None = None,
    frame: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Mapping[str, Any]:
    """Write every feature map of one region of one image into an empty or new folder.

    window  diameter of the ball, with its unit, such as "9 mm"
    """
    diameter = units.read(window, "mm")
    settings = configuration(config)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is already there; nothing is overwritten; give another --out")
    series = only_series(image)
    drawn = catalog.read_regions(mask, series.grid)
    name = chosen_region(mask, drawn, region)
    values = series.values[..., chosen_frame(series, frame)]
    made = windowed(values, drawn.mask(name), series.grid.spacing, diameter, settings)
    out.mkdir(parents=True, exist_ok=True)
    grid = lattice(series.grid, made)
    about = dict(_about())
    paths: dict[str, str] = {}
    for number, (tag, numbers) in enumerate(made.maps.items(), start=1):
        volume = np.full(grid.shape, np.nan, np.float32)
        volume[made.inside] = numbers
        bids.write_nifti(
            out / f"{tag}.nii.gz", volume, grid, about[_bare(tag)] | {"WindowMm": diameter}
        )
        paths[tag] = str(out / f"{tag}.nii.gz")
        if progress is not None:
            progress("maps", number, len(made.maps))
    facts: dict[str, Any] = {
        "region": name,
        "configuration": settings.name,
        "hash": settings.hash,
        "window_mm": diameter,
        "window_voxels": int(made.window.sum()),
        "voxels": int(made.inside.sum()),
        "flags": sorted({*series.flags, *drawn.flags[drawn.names.index(name)], *made.flags}),
    }
    sources = {file.name: provenance.sha256(file) for file in (image, mask) if file.is_file()}
    account = {**facts, "sources": sources, "software": provenance.versions()}
    bids.write_json(out / "features.json", account)
    return {**facts, "maps": paths}


def text(found: Mapping[str, Any]) -> str:
    """What was written, as lines."""
    lines = [
        f"region {found['region']}: {found['voxels']} voxels; window {found['window_mm']:g} mm, "
        f"{found['window_voxels']} voxels; configuration {found['configuration']} "
        f"({found['hash']})",
        *(f"{flag}: {FLAGS[flag]}" for flag in found["flags"]),
        *(f"  {tag}: {path}" for tag, path in found["maps"].items()),
    ]
    return "\n".join(lines)


def _check(settings: Configuration) -> None:
    other = [one for one in settings.aggregations if one not in AGGREGATIONS]
    if other:
        raise InputError(
            f"configuration {settings.name} asks for aggregation {other[0]}; a window is a volume; "
            f"expected of {', '.join(AGGREGATIONS)}"
        )
    if settings.discretise.method == "none":
        raise InputError(
            f"configuration {settings.name} makes no grey levels; expected [discretise] with "
            "fixed_number or fixed_size"
        )


def _prepared(
    image: np.ndarray, mask: np.ndarray, spacing: np.ndarray, settings: Configuration
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Image and region on the lattice of a configuration, its first voxel and its voxel size."""
    drawn = (mask if mask.dtype == bool else mask >= 0.5).astype(float)
    values, first, sides = interpolated(image, spacing, settings)
    setting = settings.interpolate
    if setting is None:
        return values, drawn > 0, first, sides
    of_mask = replace(settings, interpolate=replace(setting, image=setting.mask), round=False)
    shares, _, _ = interpolated(drawn, spacing, of_mask)
    # A share that falls short of the threshold by rounding alone has reached it.
    return values, shares >= setting.mask_threshold - 1e-9, first, sides


def lattice(grid: Grid, made: Windowed) -> Grid:
    """The grid of the maps of an image on a grid."""
    affine = grid.affine.copy()
    affine[:3, :3] = grid.affine[:3, :3] / grid.spacing * made.spacing
    affine[:3, 3] = grid.world(made.first)
    rows, columns, slices = made.inside.shape
    return Grid(shape=(rows, columns, slices), affine=affine)


def _around(inside: np.ndarray) -> tuple[slice, ...]:
    """The smallest box around a region."""
    ends = [np.flatnonzero(inside.any(axis=axes))[[0, -1]] for axes in ((1, 2), (0, 2), (0, 1))]
    return tuple(slice(int(first), int(last) + 1) for first, last in ends)


def _spread_tags(names: tuple[str, ...]) -> Iterator[str]:
    """IBSI tags of the spread of a window, and the names of what IBSI does not define."""
    renamed = {"entropy": "ih_entropy", "uniformity": "ih_uniformity", "gini": "gini",
               "count": "window_voxels"}  # fmt: skip
    return (renamed.get(name, f"stat_{name}") for name in names)


def _bare(tag: str) -> str:
    """The tag without its aggregation."""
    for ending in AGGREGATIONS:
        tag = tag.removesuffix(f"_{ending}")
    return tag


def _about() -> Iterator[tuple[str, dict[str, Any]]]:
    """Description, unit and code of each map, for its sidecar."""
    for feature in table():
        yield (
            feature.tag,
            {
                "Description": f"{feature.name} of the window around each voxel",
                "Units": feature.unit_of("image"),
                "IBSICode": feature.code,
            },
        )
    for tag, (unit, meaning) in OWN.items():
        yield tag, {"Description": meaning, "Units": unit}


def _flags(maps: Mapping[str, np.ndarray], drawn: np.ndarray, known: np.ndarray) -> tuple[str, ...]:
    flags = []
    if (drawn & ~known).any():
        flags.append("nan_voxels")
    if float(np.median(maps["window_voxels"])) < FEW:
        flags.append("few_voxels")
    if not all(np.isfinite(one).all() for one in maps.values()):
        flags.append("feature_undefined")
    return tuple(flags)
