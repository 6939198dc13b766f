"""Sessions with one lesion whose truth is known, for the metrics of evenness."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from igdd.facts import Agent, Subject
from igdd.types import Curves, Frames, Grid, Image, Regions, Session, Zero

SPACING = 2.0


def ball(radius: float, shape=(24, 24, 24)) -> np.ndarray:
    """Distance in mm of every voxel from the middle, and whether it is inside."""
    middle = (np.array(shape) - 1) / 2
    steps = np.indices(shape) - middle.reshape(3, 1, 1, 1)
    return np.sqrt((steps**2).sum(axis=0)) * SPACING <= radius


def session_of(values: np.ndarray, masks: dict[str, np.ndarray], **known) -> Session:
    """A session of one frame in kBq/mL; `sd`, `correlation`, `psf`, `scale_cv` where known."""
    grid = Grid(shape=values.shape, affine=np.diag([SPACING, SPACING, SPACING, 1.0]))
    frames = Frames(
        start=np.array([3600.0]), duration=np.array([600.0]), zero=Zero(kind="administration")
    )
    sd = known.get("sd")
    variance = None if sd is None else np.broadcast_to(np.square(sd), values.shape)[..., None]
    image = Image(
        values=values[..., None],
        grid=grid,
        quantity="activity_concentration",
        unit="kBq/mL",
        analyte="label",
        frames=frames,
        variance=variance,
        noise_correlation=known.get("correlation", 0.0),
        scale_cv=known.get("scale_cv", 0.0),
    )
    weights = np.stack([mask.ravel().astype(float) for mask in masks.values()])
    kinds = tuple("lesion" if name.startswith("lesion") else "organ" for name in masks)
    regions = Regions(
        weights=sparse.csr_matrix(weights), names=tuple(masks), kinds=kinds, grid=grid
    )
    volume = weights.sum(axis=1)
    sums = weights @ np.nan_to_num(values).ravel()
    means = np.divide(sums, volume, out=np.full(volume.size, np.nan), where=volume > 0)
    count = len(masks)
    curves = Curves(
        values=means[:, None],
        covariance=np.full((1, count, count), np.nan),
        volume=volume * grid.voxel_volume,
        volume_sd=np.zeros(count),
        names=tuple(masks),
        kinds=kinds,
        frames=frames,
        quantity="activity_concentration",
        unit="kBq/mL",
        analyte="label",
        scale_cv=image.scale_cv,
    )
    return Session(
        subject=Subject(id="01"),
        name="24h",
        agent=Agent(),
        curves=curves,
        image=image,
        regions=regions,
        psf=known.get("psf"),
        psf_sd=known.get("psf_sd", 0.0),
    )


def rows_of(session: Session, metric: str, **options):
    """Rows of the table by metric, through the stage `measure`."""
    from igdd import catalog
    from igdd.stages.measure import measure

    table = measure(session, [(catalog.find("metrics", metric), options)])
    return table.set_index("metric")
