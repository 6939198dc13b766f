"""The voxels of a lesion in one frame, their noise, and measures of them with their uncertainty.

What the metrics of evenness share. A measure is taken of the voxels without noise
(`igdd.kernels.noise_deconvolution`), and again of the interior alone, a point spread or more below
the rim, where blur from outside does not reach. As imaged, it is a metric of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from igdd.errors import StudyError
from igdd.kernels.depth_profile import depth_from_rim
from igdd.kernels.noise_deconvolution import (
    Noise,
    classes,
    corrected_map,
    limits,
    noise_of,
    replicated,
    replicates_of,
)
from igdd.metrics._resolution import at_resolution, held, voxels
from igdd.results import Value
from igdd.types import Image, Regions, Session
from igdd.uncertainty import NORMAL_95, Estimate

TWIN = "_uncorrected"
INTERIOR = "_interior"
# Weight from which a voxel belongs to a lesion, where it is in or out.
HALF = 0.5

Measures = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesion:
    """Voxels of a region, or of its interior, in one frame.

    values, weights  (n,); places: per axis their indices (n,) in the image; `noise` None: unknown
    depth            (n,) mm below the rim
    suffix           "" or "_interior"
    blur             FWHM in mm by which the values were blurred; `session.psf` holds what came out
    """

    session: Session
    image: Image
    region: str
    time: int
    values: np.ndarray
    weights: np.ndarray
    places: tuple[np.ndarray, ...]
    depth: np.ndarray
    noise: Noise | None
    flags: tuple[str, ...]
    suffix: str = ""
    blur: float = 0.0

    @property
    def voxel_volume(self) -> float:
        """Volume of a voxel in mL."""
        return self.image.grid.voxel_volume

    def rng(self, metric: str) -> np.random.Generator:
        """Random numbers that follow from names alone, the same in every order of regions."""
        names = (self.session.subject.id, self.session.name, self.region, str(self.time))
        text = "\0".join((*names, metric, self.suffix))
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return np.random.default_rng(seed)

    def box(self, values: np.ndarray) -> np.ndarray:
        """Values (n,) as an array over the voxels' box; 0 elsewhere."""
        starts = [int(place.min()) for place in self.places]
        ends = [int(place.max()) + 1 for place in self.places]
        made = np.zeros([b - a for a, b in zip(starts, ends, strict=True)], dtype=values.dtype)
        made[tuple(place - a for place, a in zip(self.places, starts, strict=True))] = values
        return made

    def row(
        self,
        metric: str,
        estimate: Estimate,
        unit: str,
        *,
        interval: tuple[float, float] | None = None,
        flags: Sequence[str] = (),
        method: str = "",
    ) -> Value:
        """A row of the table; a value that is not a number is flagged."""
        known = np.isfinite(estimate.value)
        told = known or "interior_empty" in self.flags or "empty_region" in self.flags
        psf = self.session.psf
        method += "" if psf is None else f"; resolution {psf:.4g} mm"
        lacking = () if told else ("feature_undefined",)
        if interval is not None and not np.isfinite(interval).all():
            interval = None
        return Value(
            region=self.region,
            metric=metric,
            estimate=estimate if known else Estimate(value=float("nan")),
            unit=unit,
            time=float(self.image.frames.middle[self.time]),
            analyte=self.image.analyte,
            flags=tuple(dict.fromkeys((*self.flags, *flags, *lacking))),
            method=method.removeprefix("; "),
            interval=interval if known else None,
        )


def lesions(
    session: Session, metric: str, kind: str, resolution: str | float | None = None
) -> Iterator[Lesion]:
    """Every region of a kind in every frame, at a resolution; without the voxels of no value."""
    image, regions = session.image, session.regions
    if image is None or regions is None:
        raise StudyError(
            f"metric {metric!r} needs the voxels of session {session.name}; expected an image and "
            "regions; leave the metric out for a session of curves alone"
        )
    session, blur, unmatched = at_resolution(session, resolution)
    for number, region in enumerate(regions.names):
        if kind not in (regions.kinds[number], "every"):
            continue
        places, weights = held(regions, number)
        depth = _depth(image, places, weights)
        for time in range(image.frames.start.size):
            values, sd = voxels(image, places, time, blur)
            present = np.isfinite(values)
            flags = [*regions.flags[number], *unmatched]
            flags += ["nan_voxels"] if values.size and not present.all() else []
            flags += [] if present.any() else ["empty_region"]
            if sd is not None:
                sd = sd[present] if np.isfinite(sd[present]).all() else None
            yield _lesion(
                Lesion(
                    session=session,
                    image=image,
                    region=region,
                    time=time,
                    values=values[present],
                    weights=weights[present],
                    places=tuple(place[present] for place in places),
                    depth=depth[present],
                    noise=None,
                    flags=tuple(flags),
                    blur=blur,
                ),
                sd,
            )


def _depth(image: Image, places: tuple[np.ndarray, ...], weights: np.ndarray) -> np.ndarray:
    """Depth in mm below the rim of the voxels that lie in the region by half or more."""
    if not weights.size:
        return weights
    starts = [int(place.min()) for place in places]
    moved = tuple(place - a for place, a in zip(places, starts, strict=True))
    inside = np.zeros([int(place.max()) + 1 for place in moved], dtype=bool)
    inside[moved] = weights >= HALF
    return np.asarray(depth_from_rim(inside, image.grid.spacing)[moved])


def _lesion(bare: Lesion, sd: np.ndarray | None) -> Lesion:
    if sd is None:
        return replace(bare, flags=(*bare.flags, "noise_unknown"))
    if not bare.values.size:
        return bare
    noise = noise_of(
        sd,
        bare.weights,
        bare.places,
        spacing=bare.image.grid.spacing,
        fwhm=float(np.hypot(bare.image.noise_correlation, bare.blur)),
    )
    return replace(bare, noise=noise)


def with_interior(lesion: Lesion) -> Iterator[Lesion]:
    """The lesion, and its interior where the point spread is known (empty where it has none)."""
    yield lesion
    if lesion.session.psf is None:
        return
    deep = lesion.depth >= lesion.session.psf
    flags = lesion.flags if deep.any() else (*lesion.flags, "interior_empty")
    yield replace(
        lesion,
        values=lesion.values[deep],
        weights=lesion.weights[deep],
        places=tuple(place[deep] for place in lesion.places),
        depth=lesion.depth[deep],
        noise=None if lesion.noise is None or not deep.any() else lesion.noise.part(deep),
        flags=flags,
        suffix=INTERIOR,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """Measures (m,) of a lesion: value, standard deviation, shared part, 95 % limits."""

    value: np.ndarray
    sd: np.ndarray
    shared: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def estimate(self, number: int) -> Estimate:
        """One of them."""
        return Estimate(
            value=float(self.value[number]),
            sd=float(self.sd[number]),
            sd_shared=float(self.shared[number]),
        )

    def interval(self, number: int) -> tuple[float, float]:
        """95 % limits of one of them."""
        return float(self.low[number]), float(self.high[number])


def without_noise(lesion: Lesion, measures: Measures, metric: str) -> Found:
    """Measures of the lesion without noise; plain, without an interval, where noise is unknown."""
    cv = lesion.image.scale_cv
    if lesion.noise is None:
        value = measures(lesion.values)
        unknown = np.full(value.size, np.nan)
        shared = _shared(lesion.values, measures, cv)
        return Found(value=value, sd=unknown, shared=shared, low=unknown, high=unknown)
    truth, again = replicated(lesion.values, lesion.noise, measures, lesion.rng(metric))
    value = measures(truth)
    sharp = measures(corrected_map(lesion.values, classes(lesion.noise), sharp=True))
    sd, low, high = limits(value, again, sharp)
    return _combined(value, sd, _shared(truth, measures, cv), low, high)


def as_imaged(lesion: Lesion, measures: Measures, metric: str) -> Found:
    """Measures of the voxels as they are, and their scatter under the noise, where it is known."""
    value = measures(lesion.values)
    shared = _shared(lesion.values, measures, lesion.image.scale_cv)
    sd = np.full(value.size, np.nan)
    if lesion.noise is not None:
        rng = lesion.rng(metric + TWIN)
        number = replicates_of(lesion.values.size)
        again = [measures(lesion.values + lesion.noise.draw(rng)) for _ in range(number)]
        sd = np.std(np.stack(again), axis=0, ddof=1)
    return _combined(value, sd, shared, value - NORMAL_95 * sd, value + NORMAL_95 * sd)


def _shared(values: np.ndarray, measures: Measures, cv: float) -> np.ndarray:
    """What one standard deviation of the calibration does to the measures."""
    return np.asarray(np.abs(measures(values * (1 + cv)) - measures(values * (1 - cv))) / 2)


def _combined(
    value: np.ndarray, sd: np.ndarray, shared: np.ndarray, low: np.ndarray, high: np.ndarray
) -> Found:
    more = NORMAL_95 * shared
    return Found(
        value=value,
        sd=np.hypot(sd, shared),
        shared=shared,
        low=value - np.hypot(value - low, more),
        high=value + np.hypot(high - value, more),
    )


def sorts_of(lesion: Lesion) -> str:
    """How the noise was taken out, in words."""
    if lesion.noise is None:
        return "as imaged: noise unknown"
    number = len(classes(lesion.noise))
    return "noise deconvolved" + (f" in {number} classes" if number > 1 else "")


def other_region(session: Session, regions: Regions, name: str, option: str) -> int:
    """Number of a region that an option names."""
    if name not in regions.names:
        raise StudyError(
            f"measure.{option}: region {name!r} is not drawn in subject {session.subject.id}, "
            f"session {session.name}; expected one of: {', '.join(regions.names)}"
        )
    return regions.names.index(name)
