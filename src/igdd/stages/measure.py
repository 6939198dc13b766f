"""Measure: every requested metric of one session as rows of the tidy table.

Metrics of level "session" bring their own uncertainty. Those of level "voxels" are plain functions
of a region's voxels; their uncertainty is the scatter over 200 seeded replicates of the image's
noise, and what the calibration's uncertainty does to them is the part shared within the scan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.declare import Metric
from igdd.errors import StudyError
from igdd.kernels.blur import box_of, correlation_root
from igdd.results import COLUMNS, KEY, Value
from igdd.types import Image, Regions, Session
from igdd.uncertainty import Estimate

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

REPLICATES = 200  # the standard deviation is then known to 5 %


def measure(
    session: Session,
    requests: Sequence[tuple[Metric, Mapping[str, Any]]],
    fitted: Sequence[Value] = (),
) -> pd.DataFrame:
    """Rows of the tidy table for all requested metrics; one row per `igdd.results.KEY`.

    `fitted` are parameters of models, which stand beside the metrics.
    """
    subject = session.subject
    rows = []
    for metric, options in requests:
        for value in _values(session, metric, {**metric.defaults, **options}):
            rows.append(value.row(subject.id, session.name, subject.arm))
    for value in fitted:
        value = replace(value, flags=(*value.flags, *session.flags))
        rows.append(value.row(subject.id, session.name, subject.arm))
    return table_of(rows)


def table_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The tidy table of rows; two in the same place raise StudyError."""
    import pandas as pd

    table = pd.DataFrame(rows, columns=list(COLUMNS))
    twice = table[table.duplicated(list(KEY))]
    if len(twice):
        first = ", ".join(f"{name} {twice.iloc[0][name]}" for name in KEY)
        raise StudyError(
            f"two measurements have the same place in the table ({first}); expected one; "
            "ask for each metric or model once, and name no collected place like a region"
        )
    return table


def _values(session: Session, metric: Metric, options: Mapping[str, Any]) -> Iterator[Value]:
    if metric.level == "voxels":
        for value in _of_voxels(session, metric, options):
            yield replace(value, flags=(*value.flags, *session.flags))
        return
    found: Iterable[Value] = metric.function(session, **options)
    for value in found:
        flags = (*value.flags, *session.flags, *_unknown(session, value))
        yield replace(value, flags=flags, estimate=_honest(value.estimate))


def _unknown(session: Session, value: Value) -> Iterator[str]:
    """What nobody declared, so that it is not in the value or its interval."""
    if value.region not in session.curves.names:
        return
    if session.recovered is None:
        yield "psf_unknown"
    relative = value.metric == "volume" or value.metric.startswith("ratio_to_")
    if session.curves.scale_cv == 0 and not relative:
        yield "calibration_sd_unknown"


def _honest(estimate: Estimate) -> Estimate:
    """An estimate of which no part of the uncertainty is known has none, rather than zero."""
    return replace(estimate, sd=np.nan) if estimate.sd == 0 else estimate


@dataclass(frozen=True, kw_only=True, eq=False)
class _Voxels:
    """A region's voxels in all frames, and how their noise hangs together.

    values, sd  (voxel, time); sd is None where noise is unknown
    weights     (voxel,)
    places      indices of the voxels in the region's box, and per axis the noise's root
    """

    values: np.ndarray
    sd: np.ndarray | None
    weights: np.ndarray
    places: tuple[np.ndarray, ...]
    roots: tuple[np.ndarray, ...]

    def noise(self, rng: np.random.Generator) -> np.ndarray:
        """One replicate (voxel,) of correlated noise of unit variance."""
        field = rng.standard_normal([root.shape[0] for root in self.roots])
        for root in self.roots:
            field = np.tensordot(field, root, axes=(0, 0))  # moves each axis last, in turn
        return np.asarray(field[self.places])


def _of_voxels(session: Session, metric: Metric, options: Mapping[str, Any]) -> Iterator[Value]:
    image, regions = session.image, session.regions
    if image is None or regions is None:
        raise StudyError(
            f"metric {metric.name!r} needs the voxels of session {session.name}; "
            "expected an image and regions; leave the metric out for a session of curves alone"
        )
    for n, name in enumerate(regions.names):
        voxels = _voxels(image, regions, n)
        seed = _seed(session.subject.id, session.name, name, metric.name)
        estimates = _estimates(metric, options, voxels, image.scale_cv, seed)
        for time, estimate in enumerate(estimates):
            yield Value(
                region=name,
                metric=metric.name,
                estimate=estimate,
                unit=image.unit if metric.unit == "of image" else metric.unit,
                time=float(image.frames.middle[time]),
                analyte=image.analyte,
                flags=(*regions.flags[n], *_flags(voxels, time)),
                method=", ".join(f"{key} {value}" for key, value in options.items()),
            )


def _voxels(image: Image, regions: Regions, number: int) -> _Voxels:
    row: sparse.csr_matrix = regions.weights[number].copy()
    row.eliminate_zeros()
    shape = image.grid.shape
    times = image.frames.start.size
    values = image.values.reshape(-1, times)[row.indices].astype(float)
    sd = None
    if image.variance is not None:
        sd = np.sqrt(image.variance.reshape(-1, times)[row.indices].astype(float))
    box = box_of(row, shape, np.zeros(3))
    if box is None:
        box = (slice(0, 0),) * 3
    places = np.unravel_index(row.indices, shape)
    return _Voxels(
        values=values,
        sd=sd,
        weights=row.data.astype(float),
        places=tuple(n - part.start for n, part in zip(places, box, strict=True)),
        roots=tuple(
            correlation_root(part.stop - part.start, float(spacing), image.noise_correlation)
            for part, spacing in zip(box, image.grid.spacing, strict=True)
        ),
    )


def _flags(voxels: _Voxels, time: int) -> tuple[str, ...]:
    present = np.isfinite(voxels.values[:, time])
    flags = [] if voxels.weights.size and present.any() else ["empty_region"]
    flags += [] if present.all() else ["nan_voxels"]
    known = voxels.sd is not None and bool(np.isfinite(voxels.sd[present, time]).all())
    return tuple(flags if known else [*flags, "noise_unknown"])


def _estimates(
    metric: Metric, options: Mapping[str, Any], voxels: _Voxels, scale_cv: float, seed: int
) -> list[Estimate]:
    """The metric in each frame; voxels without a value are left out."""
    times = voxels.values.shape[1]
    present = np.isfinite(voxels.values)
    filled = [time for time in range(times) if present[:, time].any()]

    def value(time: int, values: np.ndarray) -> Any:
        inside = present[:, time]
        return metric.function(values[inside], voxels.weights[inside], **options)

    found = {time: value(time, voxels.values[:, time]) for time in filled}
    plain = [time for time in filled if not isinstance(found[time], Estimate)]
    scatter = np.full((REPLICATES, times), np.nan)
    if voxels.sd is not None and plain:
        rng = np.random.default_rng(seed)
        for replicate in range(REPLICATES):
            noise = voxels.noise(rng)
            for time in plain:
                noisy = voxels.values[:, time] + noise * voxels.sd[:, time]
                scatter[replicate, time] = float(value(time, noisy))
    for time in plain:
        values = voxels.values[:, time]
        high, low = (float(value(time, values * (1 + cv))) for cv in (scale_cv, -scale_cv))
        shared = abs(high - low) / 2
        random = float(np.std(scatter[:, time], ddof=1))
        sd = float(np.hypot(random, shared))
        found[time] = Estimate(value=float(found[time]), sd=sd, sd_shared=shared)
    nothing = Estimate(value=float("nan"))
    return [found.get(time, nothing) for time in range(times)]


def _seed(*names: str) -> int:
    """A seed that follows from names alone, the same on every machine and in every order."""
    return int.from_bytes(hashlib.sha256("\0".join(names).encode()).digest()[:8], "big")
