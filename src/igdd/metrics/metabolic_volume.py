"""Metabolic volume and total lesion glycolysis by a declared threshold.

    MTV = volume of the lesion at or above the threshold, in mL
    TLG = mean SUV of that volume times MTV, in g

The threshold is an SUV, a percentage of the lesion's own maximum (25 % gives the mean of the
preclinical rule, J Nucl Med 2020;61:842), or that of PERCIST: 1.5 x liver mean + 2 SD, or 2 x blood
mean + 2 SD (doi:10.2967/jnumed.108.057307). Values are as imaged.

Uncertainty: the scatter over seeded replicates of the image's noise; calibration is shared, and
moves a fixed threshold's volume but not that of a percentage.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from igdd.declare import Metric, Option
from igdd.errors import StudyError
from igdd.kernels.blur import correlation_root
from igdd.metrics.peak import LEAN_OPTION, Rows, Scale, needed, scale_of
from igdd.results import Value
from igdd.types import Image, Regions, Session
from igdd.uncertainty import Estimate

REPLICATES = 200  # the standard deviation is then known to 5 %
PERCENT = 41.0


@dataclass(frozen=True, kw_only=True, eq=False)
class _Voxels:
    """A region's voxels in one frame: values, weights, and the noise of the box around them.

    corner  first index of the box; `places` are indices within it
    sd      (voxel,) or None where noise is unknown
    """

    values: np.ndarray
    weights: np.ndarray
    sd: np.ndarray | None
    places: tuple[np.ndarray, ...]
    roots: tuple[np.ndarray, ...]


def metabolic_volume(
    session: Session,
    rule: str,
    *,
    percent: float = PERCENT,
    suv: float | None = None,
    reference: str | None = None,
    reference_kind: str = "liver",
    lean: str = "janma",
) -> Iterator[Value]:
    """Volume of every lesion at or above a declared threshold, its mean SUV and total glycolysis.

    By percentage, the lesion's own maximum counts. By PERCIST, values are SUL and so is TLG.
    """
    image, regions = needed(session, "metabolic_volume")
    scale = scale_of(session, lean)
    factor = scale.sul if rule == "percist" else scale.suv
    for time in range(image.frames.start.size):
        level = _level(session, rule, time, (percent, suv, reference, reference_kind), scale)
        for number, name in enumerate(regions.names):
            if regions.kinds[number] != "lesion":
                continue
            voxels = _voxels(image, regions, number, time)
            rows = Rows(session, image, number, time, level.text)
            flags = _voxel_flags(regions, number, voxels)
            seed = _seed(session.subject.id, session.name, name, f"mtv_{rule}")
            found = _above(voxels, image, level.of, seed)
            yield rows.value(f"mtv_{rule}", found[0], "mL", flags)
            if factor is None:
                continue
            own = (*flags, *scale.flags)
            mean = found[1].times(factor, cv_shared=_rest(scale, image))
            glycolysis = found[2].times(factor, cv_shared=_rest(scale, image))
            yield rows.value(f"suvmean_{rule}", mean, "g/mL", own)
            yield rows.value(f"tlg_{rule}", glycolysis, "g", own)


def _rest(scale: Scale, image: Image) -> float:
    """What the dose adds to the calibration's relative uncertainty."""
    return float(np.sqrt(max(scale.cv_shared**2 - image.scale_cv**2, 0.0)))


@dataclass(frozen=True, kw_only=True)
class _Level:
    """The threshold of a region's values in the image's unit, and how to say it."""

    of: Callable[[np.ndarray], float]
    text: str


def _level(
    session: Session,
    rule: str,
    time: int,
    said: tuple[float, float | None, str | None, str],
    scale: Scale,
) -> _Level:
    percent, suv, reference, kind = said
    where = f"metric 'metabolic_volume', session {session.name}"
    if rule == "percent_of_maximum":
        if not 0 < percent <= 100:
            raise StudyError(f"{where}: percent is {percent:g}; expected above 0, up to 100")
        return _Level(
            of=lambda values: float(percent / 100 * values.max()),
            text=f"at or above {percent:g} % of the region's maximum",
        )
    if rule == "fixed":
        if suv is None or scale.suv is None:
            raise StudyError(
                f"{where}: a fixed threshold needs measure.suv, such as suv = 2.5, and the "
                f"subject's dose and weight; found suv = {suv}, factor to SUV {scale.suv}"
            )
        fixed = suv / scale.suv
        return _Level(of=lambda values: fixed, text=f"at or above SUV {suv:g}")
    return _percist_level(session, time, (reference, kind), scale)


def _percist_level(
    session: Session, time: int, said: tuple[str | None, str], scale: Scale
) -> _Level:
    image, regions = needed(session, "metabolic_volume")
    reference, kind = said
    if reference not in regions.names or scale.sul is None:
        raise StudyError(
            f"metric 'metabolic_volume', session {session.name}: PERCIST's threshold needs "
            f"measure.reference and the subject's dose, weight, height and sex; found reference = "
            f"{reference!r}; expected one of {', '.join(sorted(regions.names))}"
        )
    place = "blood" if kind == "blood_pool" else "liver"
    numbers = _percist_numbers()
    factor = float(numbers[f"{place}_factor"])
    deviations = float(numbers["blood_deviations" if place == "blood" else "deviations"])
    values = image.values[..., time][regions.mask(str(reference)) >= 0.5]
    values = values[np.isfinite(values)].astype(float)
    level = factor * values.mean() + deviations * values.std() if values.size else float("nan")
    return _Level(
        of=lambda values: float(level),
        text=f"at or above {factor:g} x mean + {deviations:g} SD of {reference} "
        f"(SUL {level * scale.sul:.4g})",
    )


@cache
def _percist_numbers() -> dict[str, float]:
    folder = files("igdd").joinpath("comparisons", "response_criteria")
    stored = tomllib.loads(folder.joinpath("percist_1_0.toml").read_text("utf-8"))
    return {name: float(number) for name, number in stored["measurable"].items()}


def _voxels(image: Image, regions: Regions, number: int, time: int) -> _Voxels:
    row = regions.weights[number].copy()
    row.eliminate_zeros()
    values = image.values.reshape(image.grid.size, -1)[row.indices, time].astype(float)
    known = np.isfinite(values)
    where = np.unravel_index(row.indices[known], image.grid.shape)
    sd = None
    if image.variance is not None:
        spread = image.variance.reshape(image.grid.size, -1)[row.indices, time].astype(float)
        sd = np.sqrt(spread[known])
    low = [int(one.min()) if one.size else 0 for one in where]
    size = [
        int(one.max()) - first + 1 if one.size else 0 for one, first in zip(where, low, strict=True)
    ]
    return _Voxels(
        values=values[known],
        weights=row.data[known] * image.grid.voxel_volume,
        sd=sd,
        places=tuple(one - first for one, first in zip(where, low, strict=True)),
        roots=tuple(
            correlation_root(count, float(spacing), image.noise_correlation)
            for count, spacing in zip(size, image.grid.spacing, strict=True)
        ),
    )


def _voxel_flags(regions: Regions, number: int, voxels: _Voxels) -> tuple[str, ...]:
    if not voxels.values.size:
        return ("empty_region",)
    row = regions.weights[number]
    missing = int((row.data > 0).sum()) > voxels.values.size
    unknown = voxels.sd is None or not np.isfinite(voxels.sd).all()
    return (("nan_voxels",) if missing else ()) + (("noise_unknown",) if unknown else ())


def _above(
    voxels: _Voxels, image: Image, level: Callable[[np.ndarray], float], seed: int
) -> tuple[Estimate, Estimate, Estimate]:
    """Volume, mean and their product of what lies at or above the threshold, image's unit."""
    if not voxels.values.size:
        nothing = Estimate(value=float("nan"))
        return nothing, nothing, nothing

    def numbers(values: np.ndarray) -> np.ndarray:
        inside = values >= level(values)
        volume = float(voxels.weights[inside].sum())
        total = float(voxels.weights[inside] @ values[inside])
        return np.array([volume, total / volume if volume > 0 else np.nan, total])

    plain = numbers(voxels.values)
    high, low = (numbers(voxels.values * (1 + cv)) for cv in (image.scale_cv, -image.scale_cv))
    shared = np.abs(high - low) / 2
    random = np.zeros(3)
    if voxels.sd is not None:
        rng = np.random.default_rng(seed)
        scatter = [numbers(voxels.values + _noise(voxels, rng)) for _ in range(REPLICATES)]
        random = np.std(scatter, axis=0, ddof=1)
    found = [
        Estimate(value=float(v), sd=float(np.hypot(r, s)), sd_shared=float(s))
        for v, r, s in zip(plain, random, shared, strict=True)
    ]
    return found[0], found[1], found[2]


def _noise(voxels: _Voxels, rng: np.random.Generator) -> np.ndarray:
    """One replicate of the region's correlated noise."""
    field = rng.standard_normal([root.shape[0] for root in voxels.roots])
    for root in voxels.roots:
        field = np.tensordot(field, root, axes=(0, 0))
    return np.asarray(field[voxels.places] * voxels.sd)


def _seed(*names: str) -> int:
    """A seed that follows from names alone, the same on every machine and in every order."""
    return int.from_bytes(hashlib.sha256("\0".join(names).encode()).digest()[:8], "big")


METRICS = (
    Metric(
        "metabolic_volume",
        metabolic_volume,
        level="session",
        options=(
            Option("rule", "text", choices=("percent_of_maximum", "fixed", "percist"),
                   help="the threshold's rule"),
            Option("percent", "1", default=PERCENT, help="of the lesion's maximum"),
            Option("suv", "1", default=None, help="the fixed threshold, such as 2.5"),
            Option("reference", "region", default=None, help="liver or blood pool for PERCIST"),
            Option("reference_kind", "text", default="liver", choices=("liver", "blood_pool")),
            LEAN_OPTION,
        ),
        gives=(("mtv_{rule}", "mL"), ("suvmean_{rule}", "g/mL"), ("tlg_{rule}", "g")),
        question="Q5",
        reference="doi:10.2967/jnumed.108.057307; doi:10.1007/s00259-014-2961-x",
    ),
)  # fmt: skip
