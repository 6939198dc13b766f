"""Resolution: the voxels of a region as an image of a stated, blurrier resolution would hold them.

A cold core in a sharp image is a shallow dip in a blurred one: unevenness is compared between
lesions at one resolution. An image is blurred by what its known point spread lacks
(`igdd.kernels.matched_resolution`), and its noise with it; only around the region.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from igdd import units
from igdd.declare import Option
from igdd.errors import StudyError
from igdd.kernels import matched_resolution
from igdd.types import Image, Regions, Session

RESOLUTION = Option(
    "resolution",
    "mm",
    default=None,
    help="FWHM such as '8 mm' that images are blurred to, so that lesions compare",
)


def at_resolution(
    session: Session, resolution: str | float | None
) -> tuple[Session, float, tuple[str, ...]]:
    """The session with the point spread it is brought to, the blur in mm to it, and flags.

    An image of unknown or of lower resolution stays as it is, and is flagged.
    """
    if resolution is None:
        return session, 0.0, ()
    wanted = units.read(resolution, "mm") if isinstance(resolution, str) else float(resolution)
    if not (np.isfinite(wanted) and wanted > 0):
        raise StudyError(f"measure.resolution is {resolution}; expected above 0 mm")
    if session.psf is None or session.psf > wanted * (1 + 1e-6):
        return session, 0.0, ("resolution_unmatched",)
    blur = matched_resolution.lacking(session.psf, wanted)
    # What is added is known: of the sum of squares, only the image's own part is not.
    sd = session.psf * session.psf_sd / wanted
    return replace(session, psf=wanted, psf_sd=sd), blur, ()


def held(regions: Regions, number: int) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Places of a region's voxels, in the image's order, and their weights."""
    row = regions.weights[number]
    held = row.indices[row.data > 0]
    order = np.argsort(held)
    weights = row.data[row.data > 0].astype(float)[order]
    return np.unravel_index(held[order], regions.grid.shape), weights


def voxels(
    image: Image, places: tuple[np.ndarray, ...], time: int, blur: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """Values and noise (n,) of voxels in a frame, blurred by a FWHM in mm; noise may be unknown."""
    frame = image.values[..., time]
    noise = None if image.variance is None else image.variance[..., time]
    if not blur > 0 or not places[0].size:
        sd = None if noise is None else np.sqrt(noise[places].astype(float))
        return frame[places].astype(float), sd
    spacing = image.grid.spacing
    margins = matched_resolution.reach(spacing, blur)
    box = tuple(
        slice(max(int(place.min()) - margin, 0), int(place.max()) + margin + 1)
        for place, margin in zip(places, margins.tolist(), strict=True)
    )
    near = frame[box].astype(float)
    moved = tuple(place - part.start for place, part in zip(places, box, strict=True))
    values = matched_resolution.blurred(near, spacing, blur)[moved]
    if noise is None:
        return values, None
    known, alike = np.isfinite(near), image.noise_correlation
    variance = matched_resolution.blurred_variance(
        noise[box].astype(float), known, spacing, blur, noise=alike
    )
    return values, np.sqrt(variance[moved])


def mean_of(session: Session, regions: Regions, name: str, time: int, blur: float) -> float:
    """Mean of a region in a frame, of voxels blurred as those of the lesions are."""
    if not blur > 0 or session.image is None:
        return float(session.curves.values[session.curves.names.index(name), time])
    places, weights = held(regions, regions.names.index(name))
    values, _ = voxels(session.image, places, time, blur)
    known = np.isfinite(values)
    total = float(weights[known].sum())
    return float(weights[known] @ values[known]) / total if total > 0 else float("nan")
