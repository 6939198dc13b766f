"""Diameters of a region in the axial plane: the longest, and the short axis across it, in mm.

    longest_diameter   largest distance between two points of the outline, over all axial planes
    short_axis         longest chord at right angles to it, in the same plane

as RECIST 1.1 measures lesions and nodes (doi:10.1016/j.ejca.2008.10.026). The outline runs where
the region's weights pass one half between voxel centres, so that it is not a voxel too wide; it is
taken convex, and a region in several parts is measured across all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from igdd.declare import Metric
from igdd.errors import StudyError
from igdd.results import Value
from igdd.types import Grid, Regions, Session
from igdd.uncertainty import Estimate

METHOD = "in the axial plane of the longest diameter, convex outline at half weight"


def diameters(session: Session) -> Iterator[Value]:
    """Longest diameter and short axis of every region, in mm."""
    regions = session.regions
    if regions is None:
        raise StudyError(
            f"metric 'diameters' needs the regions of session {session.name}; expected their "
            "outlines; leave the metric out for a session of curves alone"
        )
    for number, name in enumerate(regions.names):
        longest, short, sd = _measured(regions, name)
        flags = regions.flags[number] if longest > 0 else ("empty_region",)
        for metric, value in (("longest_diameter", longest), ("short_axis", short)):
            for time in session.curves.frames.middle:
                yield Value(
                    region=name,
                    metric=metric,
                    estimate=Estimate(value=value, sd=sd),
                    unit="mm",
                    time=float(time),
                    analyte=session.curves.analyte,
                    flags=tuple(flags),
                    method=METHOD,
                )


def _measured(regions: Regions, name: str) -> tuple[float, float, float]:
    mask = regions.mask(name)
    axis = axial(regions.grid)
    found = max(
        (
            plane_diameters(np.take(mask, index, axis=axis), _steps(regions.grid, axis))
            for index in np.flatnonzero(mask.max(axis=tuple({0, 1, 2} - {axis})) >= 0.5)
        ),
        default=(float("nan"), float("nan")),
    )
    across = np.linalg.norm(_steps(regions.grid, axis), axis=0)
    # Each end of a diameter lies somewhere within its voxel: two uniform errors.
    return (*found, float(across.mean() / np.sqrt(6)))


def axial(grid: Grid) -> int:
    """The lattice axis that runs most nearly from feet to head."""
    directions = grid.affine[:3, :3] / grid.spacing
    return int(np.argmax(np.abs(directions[2])))


def _steps(grid: Grid, axis: int) -> np.ndarray:
    """World steps (3, 2) in mm along the two axes of a plane."""
    return np.asarray(np.delete(grid.affine[:3, :3], axis, axis=1))


def plane_diameters(weights: np.ndarray, steps: np.ndarray) -> tuple[float, float]:
    """Longest diameter and the longest chord across it, in mm, of one plane's weights (i, j).

    >>> disc = np.hypot(*np.mgrid[-9:10, -9:10]) <= 6
    >>> plane_diameters(disc.astype(float), np.eye(3)[:, :2])[0]
    13.0
    """
    flat = _flattened(_outline(weights), steps)
    if flat.shape[0] < 3:
        return float("nan"), float("nan")
    from scipy.spatial import ConvexHull

    hull = flat[ConvexHull(flat).vertices]
    apart = np.linalg.norm(hull[:, None] - hull[None], axis=2)
    first, second = np.unravel_index(int(np.argmax(apart)), apart.shape)
    along = (hull[second] - hull[first]) / apart[first, second]
    return float(apart[first, second]), _chord(hull, along)


def _outline(weights: np.ndarray) -> np.ndarray:
    """Points (n, 2) between voxel centres where the weights pass one half."""
    padded = np.pad(weights, 1)
    points = []
    for axis in (0, 1):
        moved = np.moveaxis(padded, axis, 0)
        before, after = moved[:-1], moved[1:]
        place = np.argwhere((before >= 0.5) != (after >= 0.5))
        low, high = before[tuple(place.T)], after[tuple(place.T)]
        crossed = place.astype(float)
        crossed[:, 0] += (0.5 - low) / (high - low)
        points.append(crossed if axis == 0 else crossed[:, ::-1])
    return np.concatenate(points) - 1


def _flattened(points: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Points (n, 2) in mm in the plane, in a right-angled frame of it."""
    first = steps[:, 0] / np.linalg.norm(steps[:, 0])
    second = steps[:, 1] - (steps[:, 1] @ first) * first
    second = second / np.linalg.norm(second)
    return np.asarray(points @ steps.T @ np.column_stack([first, second]))


def _chord(hull: np.ndarray, along: np.ndarray) -> float:
    """Longest chord of a convex outline at right angles to a direction.

    The chord's length is linear between the outline's corners, so that one of them has the longest.
    """
    across = np.array([-along[1], along[0]])
    u, v = hull @ along, hull @ across
    following = np.roll(np.arange(u.size), -1)
    widths = [0.0]
    for at in u:
        low, high = np.minimum(u, u[following]), np.maximum(u, u[following])
        cut = (low <= at) & (at <= high) & (high > low)
        share = (at - u[cut]) / (u[following][cut] - u[cut])
        crossed = v[cut] + share * (v[following][cut] - v[cut])
        if crossed.size:
            widths.append(float(np.ptp(crossed)))
    return max(widths)


METRICS = (
    Metric(
        "diameters",
        diameters,
        level="session",
        gives=(("longest_diameter", "mm"), ("short_axis", "mm")),
        question="Q5",
        reference="doi:10.1016/j.ejca.2008.10.026",
    ),
)
