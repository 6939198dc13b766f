"""Texture: the 169 features of the image biomarker standardisation initiative (IBSI 1).

Morphology, local intensity, statistics, histograms and six families of texture matrices, as the
reference manual defines them (arXiv:1612.07003; Zwanenburg et al., Radiology 2020;295:328,
doi:10.1148/radiol.2020191145). A value is its tag, its aggregation and its configuration.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from igdd.declare import Metric, Option
from igdd.errors import InputError, StudyError
from igdd.kernels import intensity_features, morphology
from igdd.metrics.ibsi_configuration import Configuration, named, parse
from igdd.metrics.ibsi_prepare import Prepared, grey_levels, prepare, volume_bins
from igdd.results import Value
from igdd.types import Session
from igdd.uncertainty import Estimate

# Voxels below which texture says little but how large the region is.
FEW = 64
DEFAULT = "volume"
WITH_DIRECTIONS = ("cm", "rlm")
WITHOUT_DIRECTIONS = ("szm", "dzm", "ngt", "ngl")


@dataclass(frozen=True)
class Feature:
    """A feature of the standard: tag, permanent IBSI code, family, name and unit.

    unit  "image" and "image2" stand for the image's own unit and its square
    """

    tag: str
    code: str
    family: str
    name: str
    unit: str

    def unit_of(self, image: str) -> str:
        """The unit of the feature in an image of a unit."""
        bare = "1" if image == "1" else f"({image})" if "/" in image else image
        made = {"image": image, "image2": "1" if bare == "1" else f"{bare}2"}
        if self.unit == "image.mm3":
            return "mm3" if bare == "1" else f"{bare}.mm3"
        return made.get(self.unit, self.unit)


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """Values by tag and aggregation ("cm_contrast_3D_comb"); NaN where a feature is undefined.

    flags  what holds for the region as a whole
    """

    values: Mapping[str, float]
    flags: tuple[str, ...]
    configuration: Configuration


@cache
def table() -> tuple[Feature, ...]:
    """The features of the standard in its own order."""
    text = files("igdd").joinpath("metrics", "ibsi_features.csv").read_text("utf-8")
    return tuple(Feature(**row) for row in csv.DictReader(text.splitlines()))


@cache
def tags(family: str) -> tuple[str, ...]:
    """Tags of a family, without aggregation."""
    return tuple(feature.tag for feature in table() if feature.family == family)


def expected(settings: Configuration) -> dict[str, Feature]:
    """Every tag with its aggregation that a configuration gives, and the feature it is."""
    found: dict[str, Feature] = {}
    for feature in table():
        if feature.family not in settings.families:
            continue
        endings = {
            **dict.fromkeys(WITH_DIRECTIONS, settings.aggregations),
            **dict.fromkeys(WITHOUT_DIRECTIONS, settings.dimensions),
        }.get(feature.family, ("",))
        found |= {feature.tag + (f"_{one}" if one else ""): feature for one in endings}
    return found


def features(
    image: np.ndarray, mask: np.ndarray, spacing: np.ndarray, settings: Configuration
) -> Features:
    """Every feature of one region of one image (i, j, k) that a configuration asks for.

    mask     share of each voxel in the region; from one half up the voxel belongs to it
    spacing  (3,) voxel size in mm along i, j, k; slices of the 2D aggregations lie along k

    Always the same tags: what a small or flat region leaves undefined is NaN.
    """
    if image.ndim != 3 or mask.shape != image.shape:
        raise InputError(
            f"image and mask have shapes {image.shape} and {mask.shape}; expected one 3-D lattice"
        )
    empty = dict.fromkeys(expected(settings), float("nan"))
    # What overflows, or divides by nothing, is undefined: NaN and a flag, not a warning.
    with np.errstate(all="ignore"):
        ready = prepare(image, mask, np.asarray(spacing, dtype=float), settings)
        if ready is None:
            return Features(values=empty, flags=("empty_region",), configuration=settings)
        families = {*settings.families}
        found = dict(_shape(ready)) if families & {"morph", "loc"} else {}
        if ready.inside.any():
            found |= _intensity(ready, settings)
            if families & {*WITH_DIRECTIONS, *WITHOUT_DIRECTIONS}:
                found |= _matrices(ready, settings)
    values = {tag: _finite(found.get(tag)) for tag in empty}
    return Features(values=values, flags=_flags(ready, values), configuration=settings)


def _finite(value: float | None) -> float:
    return float(value) if value is not None and np.isfinite(value) else float("nan")


def _flags(ready: Prepared, values: Mapping[str, float]) -> tuple[str, ...]:
    count = int(ready.inside.sum())
    flags = ["empty_region"] if not count else ["few_voxels"] if count < FEW else []
    if not np.array_equal(ready.before, ready.region):
        flags.append("nan_voxels")
    if not all(np.isfinite(value) for value in values.values()):
        flags.append("feature_undefined")
    return tuple(flags)


def _shape(ready: Prepared) -> Iterator[tuple[str, float]]:
    """Morphology and local intensity: everything that knows where the voxels are."""
    shape = morphology.shape(ready.region, ready.spacing)
    yield from ((f"morph_{name}", value) for name, value in shape.items())
    if not ready.inside.any():
        return
    from igdd.kernels.autocorrelation import moran_geary
    from igdd.kernels.intensity_peak import peaks

    image, inside = ready.image, ready.inside
    yield "morph_com", morphology.centre_shift(ready.region, inside, image, ready.spacing)
    yield "morph_integ_int", shape["volume"] * ready.values.mean()
    moran, geary = moran_geary(image, inside, ready.spacing)
    yield "morph_moran_i", moran
    yield "morph_geary_c", geary
    local, highest = peaks(image, inside, ready.spacing)
    yield "loc_peak_loc", local
    yield "loc_peak_glob", highest


def _intensity(ready: Prepared, settings: Configuration) -> dict[str, float]:
    """Statistics, histogram and volume histogram."""
    values = ready.values
    families = {}
    if "stat" in settings.families:
        families["stat"] = intensity_features.statistics(values) | intensity_features.energy(values)
    if "ih" in settings.families:
        levels, _ = grey_levels(values, settings.discretise)
        families["ih"] = intensity_features.statistics(levels)
        families["ih"] |= intensity_features.histogram(levels)
    if "ivh" in settings.families:
        # The range of re-segmentation is one of the image, and says nothing of a response map.
        limits = settings.resegment.range if settings.filter is None else None
        bins, last, first, step = volume_bins(values, settings.volume_histogram, limits)
        families["ivh"] = intensity_features.volume_histogram(
            bins, last, first_value=first, step=step
        )
    return {
        f"{family}_{name}": value
        for family, found in families.items()
        for name, value in found.items()
    }


def _matrices(ready: Prepared, settings: Configuration) -> dict[str, float]:
    """The six families of texture matrices in every aggregation."""
    from igdd.kernels.texture_features import Texture

    found, number = grey_levels(ready.values, settings.discretise)
    levels = np.zeros(ready.image.shape, np.int64)
    levels[ready.inside] = found
    texture = Texture(levels, ready.region, number)
    values: dict[str, float] = {}

    def add(family: str, ending: str, numbers: Mapping[str, float]) -> None:
        # A family without the last feature of its kind stops before it.
        pairs = zip(tags(family), numbers.values(), strict=False)
        values.update({f"{tag}_{ending}": value for tag, value in pairs})

    for ending in settings.aggregations:
        add("cm", ending, texture.pairs(ending))
        add("rlm", ending, texture.lengths(ending))
    for ending in settings.dimensions:
        sizes, distances = texture.sizes(ending)
        contrasts, dependences = texture.around(ending)
        add("szm", ending, sizes)
        add("dzm", ending, distances)
        add("ngt", ending, contrasts)
        add("ngl", ending, dependences)
    return values


def texture(session: Session, config: str = DEFAULT) -> Iterator[Value]:
    """IBSI features of every region and frame by a configuration, with its hash.

    The configuration is one that ships, or the text of another: all of it stands in the study, so
    that no file changes behind a stored result.

    A feature that a region leaves undefined is NaN and flagged. Image noise is not in the
    uncertainty: there is none to give.
    """
    image, regions = session.image, session.regions
    if image is None or regions is None:
        raise StudyError(
            f"metric 'texture' needs the voxels of session {session.name}; expected an image and "
            "regions; leave the metric out for a session of curves alone"
        )
    settings = parse(config, "of the study") if "=" in config else named(config)
    known = expected(settings)
    for number, region in enumerate(regions.names):
        mask = regions.mask(region)
        for time in range(image.frames.start.size):
            try:
                found = features(image.values[..., time], mask, image.grid.spacing, settings)
            except InputError as error:
                raise InputError(f"metric 'texture', region {region!r}: {error}") from error
            flags = tuple(flag for flag in found.flags if flag != "feature_undefined")
            for tag, value in found.values.items():
                lacking = () if np.isfinite(value) else ("feature_undefined",)
                yield Value(
                    region=region,
                    metric=tag,
                    estimate=Estimate(value=value),
                    unit=known[tag].unit_of(image.unit),
                    time=float(image.frames.middle[time]),
                    analyte=image.analyte,
                    flags=(*regions.flags[number], *flags, *lacking, "noise_unknown"),
                    method=f"IBSI {known[tag].code}, configuration {settings.name} "
                    f"({settings.hash})",
                )


def _gives() -> tuple[tuple[str, str], ...]:
    """Every tag in every aggregation, with its unit."""
    known = expected(named("digital_phantom"))
    return tuple((tag, feature.unit_of("of image")) for tag, feature in known.items())


METRICS = (
    Metric(
        "texture",
        texture,
        level="session",
        options=(
            Option(
                "config",
                "text",
                default=DEFAULT,
                help="name of a configuration that ships, or the text of another (TOML)",
            ),
        ),
        gives=_gives(),
        question="Q3",
        reference="IBSI 1: doi:10.1148/radiol.2020191145; reference manual arXiv:1612.07003",
    ),
)
