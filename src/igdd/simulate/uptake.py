"""How activity lies in the virtual patient: evenly in organs, unevenly in lesions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from igdd.errors import InputError
from igdd.simulate.phantom import BODY, Anatomy, bounding_box, radius
from igdd.types import Grid


def true_volumes(anatomy: Anatomy, labels: np.ndarray, grid: Grid) -> dict[str, float]:
    """Volume in mL of every region as painted, and of the body outside them ("rest")."""
    names = ("rest", *anatomy.names)
    counts = np.bincount(labels.ravel(), minlength=len(names) + 1)[BODY:]
    for name, count in zip(names, counts, strict=True):
        if not count:
            raise InputError(f"{name} holds no voxel of {grid.spacing} mm; use finer voxels")
    return {
        name: float(count * grid.voxel_volume) for name, count in zip(names, counts, strict=True)
    }


def spread(
    anatomy: Anatomy,
    labels: np.ndarray,
    concentration: Mapping[str, float],
    grid: Grid,
    seed: tuple[int, int],
) -> np.ndarray:
    """Concentration in every voxel (i, j, k), in the unit of the mean of every region and "rest".

    A lesion's pattern depends on `seed` and the lesion only: it stays the same over time.
    """
    levels = [concentration[name] for name in ("rest", *anatomy.names)]
    field = np.array([0.0, *levels], dtype=np.float32)[labels]
    for index, lesion in enumerate(anatomy.lesions):
        box = bounding_box(lesion.shape, grid)
        inside = labels[box] == BODY + 1 + anatomy.names.index(lesion.name)
        rng = np.random.default_rng([*seed, 1000 + index])
        depth = radius(lesion.shape, grid, box)
        pattern = uneven(inside, depth, lesion.roughness, lesion.core, rng)
        field[box][inside] = (pattern * concentration[lesion.name])[inside]
    return np.asarray(field)


def uneven(
    inside: np.ndarray, depth: np.ndarray, roughness: float, core: float, rng: np.random.Generator
) -> np.ndarray:
    """Relative uptake (mean 1) over a lesion's voxels: a smooth random field and a cold core.

    inside     (i, j, k) mask; depth: distance from the centre over that of the surface
    roughness  standard deviation of the logarithm of the field; correlation about 3 voxels
    core       uptake at the centre over that at the rim; 1: no core
    """
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(rng.standard_normal(inside.shape), 2.0)
    field = field / max(float(field.std()), 1e-12)
    rim = core + (1 - core) / (1 + np.exp(-(depth - 0.55) / 0.05))
    uptake = np.exp(roughness * field) * rim
    return np.asarray(np.where(inside, uptake / uptake[inside].mean(), 0.0))
