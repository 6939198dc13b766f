"""Morphology: size and shape of a region from its voxels, its surface mesh and its principal axes.

IBSI reference manual (arXiv:1612.07003), section 3.1. The surface is the marching-cubes mesh of the
mask at 0.5; the voxels beyond the image count as outside. Lengths in mm, areas mm2, volumes mm3.
"""

from __future__ import annotations

import numpy as np

# Terms of the series for the surface of an ellipsoid (manual, 3.1.21).
TERMS = 20
# Corners of a hull whose distances to all others are held at a time.
_ROWS = 256


def surface(region: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n, 3) in mm and triangles (m, 3) of the mesh around a region (i, j, k)."""
    from skimage.measure import marching_cubes

    padded = np.pad(region, 1).astype(np.float32)
    vertices, triangles, _, _ = marching_cubes(padded, level=0.5)
    return vertices.astype(float) * spacing, triangles


def volume_and_area(vertices: np.ndarray, triangles: np.ndarray) -> tuple[float, float]:
    """Volume and area enclosed by a closed mesh, from signed tetrahedra and cross products."""
    # From its middle, so that no digit is lost on a far origin.
    a, b, c = (vertices[triangles[:, n]] - vertices.mean(axis=0) for n in range(3))
    volume = abs(np.einsum("ni,ni->", a, np.cross(b, c))) / 6
    return float(volume), float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def shape(region: np.ndarray, spacing: np.ndarray) -> dict[str, float]:
    """Features of the mask alone: volume, surface, compactness, diameter, axes and densities.

    Elongation and flatness, and the densities over the ellipsoid, are NaN where an axis is 0 (a
    region of one voxel, of one row, of one slice).
    """
    vertices, triangles = surface(region, spacing)
    volume, area = volume_and_area(vertices, triangles)
    equivalent = (36 * np.pi * volume**2) ** (1 / 3)
    axes = principal_axes(region, spacing)
    hull_volume, hull_area, diameter = convex_hull(vertices)
    box = vertices.max(axis=0) - vertices.min(axis=0)
    box_area = 2 * (box[0] * box[1] + box[0] * box[2] + box[1] * box[2])
    semi = axes / 2
    return {
        "volume": volume,
        "vol_approx": float(region.sum() * spacing.prod()),
        "area_mesh": area,
        "av": area / volume,
        "comp_1": volume / (np.sqrt(np.pi) * area**1.5),
        "comp_2": (equivalent / area) ** 3,
        "sph_dispr": area / equivalent,
        "sphericity": equivalent / area,
        "asphericity": area / equivalent - 1,
        "diam": diameter,
        "pca_maj_axis": float(axes[0]),
        "pca_min_axis": float(axes[1]),
        "pca_least_axis": float(axes[2]),
        "pca_elongation": _quotient(axes[1], axes[0]),
        "pca_flatness": _quotient(axes[2], axes[0]),
        "vol_dens_aabb": float(volume / box.prod()),
        "area_dens_aabb": float(area / box_area),
        "vol_dens_aee": _quotient(volume, 4 / 3 * np.pi * semi.prod()),
        "area_dens_aee": area / ellipsoid_area(semi) if semi[2] > 0 else float("nan"),
        "vol_dens_conv_hull": volume / hull_volume,
        "area_dens_conv_hull": area / hull_area,
    }


def principal_axes(region: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Lengths in mm (major, minor, least) of a region's axes: 4 sqrt(eigenvalue of covariance).

    The covariance is the sample's (n - 1), which the reference values were made with; the axes of
    a single voxel are NaN.
    """
    places = np.argwhere(region) * spacing
    if places.shape[0] < 2:
        return np.full(3, np.nan)
    away = places - places.mean(axis=0)
    values = np.linalg.eigvalsh(away.T @ away / (places.shape[0] - 1))[::-1]
    # A spread of rounding size is none.
    none = 1e-12 * max(values[0], float((spacing**2).min()))
    return np.asarray(4 * np.sqrt(np.where(values > none, values, 0.0)))


def convex_hull(vertices: np.ndarray) -> tuple[float, float, float]:
    """Volume and area of the convex hull of vertices (n, 3), and its largest diameter."""
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import cdist

    hull = ConvexHull(vertices)
    corners = hull.points[hull.vertices]
    longest = max(
        float(cdist(corners[first : first + _ROWS], corners[first:]).max())
        for first in range(0, corners.shape[0], _ROWS)
    )
    return float(hull.volume), float(hull.area), longest


def ellipsoid_area(semi: np.ndarray) -> float:
    """Surface in mm2 of an ellipsoid of semi-axes (a >= b >= c > 0) in mm, as the manual has it.

    4 pi a b sum_n (alpha beta)^n P_n((alpha^2 + beta^2) / (2 alpha beta)) / (1 - 4 n^2) with
    alpha^2 = 1 - b^2 / a^2, beta^2 = 1 - c^2 / a^2, to n = 20 (3.1.21). The products
    (alpha beta)^n P_n follow a recurrence without a quotient, so that spheres are no exception.

    The reference values follow this formula, and so does this function. The series that it
    stands for has 1 - c^2 / b^2 in place of alpha^2: the true surface of an ellipsoid whose axes
    differ is larger, by a third at 3 : 1 : 1.

    >>> round(ellipsoid_area(np.ones(3)) / np.pi, 6)
    4.0
    """
    a, b, c = semi.tolist()
    alpha, beta = 1 - (b / a) ** 2, 1 - (c / a) ** 2
    half_sum, product = (alpha + beta) / 2, alpha * beta
    before, term = 1.0, half_sum
    total = before + term / (1 - 4)
    for n in range(1, TERMS):
        before, term = term, ((2 * n + 1) * half_sum * term - n * product * before) / (n + 1)
        total += term / (1 - 4 * (n + 1) ** 2)
    return float(4 * np.pi * a * b * total)


def centre_shift(
    region: np.ndarray, inside: np.ndarray, image: np.ndarray, spacing: np.ndarray
) -> float:
    """Distance in mm from the centre of the region to the intensity-weighted centre of `inside`.

    region  (i, j, k) morphological mask; `inside` the voxels whose intensities count

    NaN where the intensities sum to 0.
    """
    values = image[inside]
    total = values.sum()
    if not abs(total) > 1e-12 * np.abs(values).sum():
        return float("nan")
    middle = (np.argwhere(region) * spacing).mean(axis=0)
    places = np.argwhere(inside) * spacing - middle
    return float(np.linalg.norm(values @ places / total))


def _quotient(above: float, below: float) -> float:
    return float(above / below) if below > 0 else float("nan")
