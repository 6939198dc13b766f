"""Lesion panels: each lesion's own slice and its histogram, as numbers for the report.

A panel of kind "lesion" is the transverse slice that holds most of the lesion, cut to its
surroundings. One of kind "histogram" belongs to it: the rows of its pixels are the bins' lower
edges in the panel's unit, the share of the volume in each as imaged, and the same without noise
(NaN where noise is not known).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from igdd.kernels.noise_deconvolution import classes, corrected_map
from igdd.metrics._lesion_voxels import HALF, Lesion, lesions
from igdd.results import Panel
from igdd.stages.panels import flat, shown, spacing_of, upright
from igdd.types import Session

# The metrics that a lesion's panel goes with.
METRICS = frozenset(("heterogeneity", "coverage", "penetration", "hot_spots", "texture"))
# Lesions of a session that get a panel: the largest.
MOST = 60
# mm around a lesion that are shown, and the share of its own size where that is more.
AROUND = 8.0
SHARE_AROUND = 0.25
# Bins of a histogram: as many as the root of the number of voxels, between these.
FEWEST_BINS = 8
MOST_BINS = 32


def lesion_panels(session: Session, metrics: frozenset[str] = METRICS) -> tuple[Panel, ...]:
    """Slice and histogram of each lesion in the last frame, where a metric of evenness is asked."""
    if session.image is None or session.regions is None or not metrics & METRICS:
        return ()
    last = session.image.frames.start.size - 1
    found = [
        one for one in lesions(session, "panels", "lesion") if one.time == last and one.values.size
    ]
    found.sort(key=lambda one: (-float(one.weights.sum()), one.region))
    return tuple(panel for one in found[:MOST] for panel in _of_lesion(one))


def _of_lesion(lesion: Lesion) -> Iterator[Panel]:
    quantity, unit, factor = shown(lesion.session)
    common: dict[str, Any] = {
        "subject": lesion.session.subject.id,
        "session": lesion.session.name,
        "title": lesion.region,
        "quantity": quantity,
        "unit": unit,
        "kinds": {lesion.region: "lesion"},
    }
    yield _slice(lesion, factor, common)
    edges, imaged, bare = histogram(lesion)
    pixels = np.stack([edges * factor, imaged, bare]).astype(np.float32)
    yield Panel(kind="histogram", pixels=pixels, spacing=(1.0, 1.0), **common)


def _slice(lesion: Lesion, factor: float, common: Mapping[str, Any]) -> Panel:
    """The transverse slice with most of the lesion, and its outline."""
    grid = lesion.image.grid
    box = []
    for place, size, step in zip(lesion.places, grid.shape, grid.spacing.tolist(), strict=True):
        low, high = int(place.min()), int(place.max()) + 1
        margin = int(np.ceil(max(AROUND / step, SHARE_AROUND * (high - low))))
        box.append(slice(max(low - margin, 0), min(high + margin, size)))
    cut = (box[0], box[1], box[2])
    values = upright(lesion.image.values[(*cut, lesion.time)].astype(float), grid.affine)
    inside = np.zeros(tuple(part.stop - part.start for part in cut))
    inside[tuple(place - part.start for place, part in zip(lesion.places, cut, strict=True))] = (
        lesion.weights
    )
    mask = upright(inside, grid.affine)
    level = int(np.argmax(mask.sum(axis=(0, 1))))
    spacing = spacing_of(grid.affine)
    return Panel(
        kind="lesion",
        pixels=(flat(values[:, :, level], 2) * factor).astype(np.float32),
        spacing=(spacing[1], spacing[0]),
        outlines={lesion.region: flat(mask[:, :, level] >= HALF, 2)},
        **common,
    )


def histogram(lesion: Lesion) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower edges (bin,) in the image's unit, shares of the volume as imaged and without noise.

    The bins run from the least to the highest value as imaged; a flat lesion fills the middle one.
    """
    low, high = float(lesion.values.min()), float(lesion.values.max())
    if not high - low > 1e-6 * max(abs(low), abs(high)):
        reach = max(abs(low), abs(high)) / 2 or 1.0
        low, high = low - reach, high + reach
    bins = int(np.clip(np.sqrt(lesion.values.size), FEWEST_BINS, MOST_BINS))
    edges = np.linspace(low, high, bins + 1)
    shares = lesion.weights / lesion.weights.sum()
    imaged = np.histogram(lesion.values, bins=edges, weights=shares)[0]
    if lesion.noise is None:
        return edges[:-1], imaged, np.full(bins, np.nan)
    # What lies a little beyond the outermost voxels counts in the outermost bins.
    bare = np.clip(corrected_map(lesion.values, classes(lesion.noise)), low, high)
    return edges[:-1], imaged, np.histogram(bare, bins=edges, weights=shares)[0]
