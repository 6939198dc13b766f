"""Filters of the image biomarker standardisation initiative (IBSI 2), and their settings.

Mean, Laplacian of Gaussian, Laws' kernels, Gabor, separable and Simoncelli's wavelets, and Riesz
transforms, as the reference manual defines them (arXiv:2006.05470; Whybra et al., Radiology
2024;310:e231319, doi:10.1148/radiol.231319). A filter of two dimensions answers slice by slice, in
the plane of i and j. Lengths are in mm, angles in degrees; responses are in the image's unit, those
of the Laplacian per square of the first voxel size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, Protocol

import numpy as np

from igdd.errors import InputError
from igdd.kernels import filters_frequency, filters_separable, filters_spatial, wavelets

# Voxels beyond which a filter reaches further than images do: a slip of a unit.
FARTHEST = 1000
# Of a wavelet, whose reach doubles with each.
MOST_LEVELS = 8
Box = tuple[slice, ...]
PLANES = {2: ((0, 1),), 3: ((0, 1), (0, 2), (1, 2))}


class Filter(Protocol):
    """A filter with its settings: how far it reaches, and how an image responds to it."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def method(self) -> str:
        """Its name in a configuration."""

    @property
    def padding(self) -> str:
        """What lies beyond the image: zero, nearest, periodic or mirror."""

    def reach(self, spacing: np.ndarray) -> tuple[float, ...]:
        """Voxels (3,) beside a voxel that its response depends on; inf for the whole image."""

    def respond(self, image: np.ndarray, spacing: np.ndarray, box: Box) -> np.ndarray:
        """Responses in a box of an image of finite intensities, on voxels of `spacing` mm."""


@dataclass(frozen=True, kw_only=True)
class Mean:
    """Mean of a box of `support` voxels a side."""

    method: str = field(default="mean", init=False)
    padding: str
    dimensions: int
    support: int

    def __post_init__(self) -> None:
        _check_choice("padding", self.padding, tuple(filters_separable.MODES))
        _check_choice("dimensions", self.dimensions, (2, 3))
        _check_whole("support", self.support, 1, 2 * FARTHEST + 1)
        if self.support % 2 == 0:
            raise InputError(f"filter.support is {self.support}; expected an odd number of voxels")

    def reach(self, spacing: np.ndarray) -> tuple[float, ...]:
        """Half the box."""
        return _first_axes([self.support // 2] * len(spacing), self.dimensions)

    def respond(self, image: np.ndarray, spacing: np.ndarray, box: Box) -> np.ndarray:
        """Means of the boxes around each of the voxels, whatever their spacing."""
        return filters_separable.mean(image, self.support, self.dimensions, self.padding)[box]


@dataclass(frozen=True, kw_only=True)
class LaplacianOfGaussian:
    """Laplacian of Gaussian, cut off at `cutoff` deviations; `riesz` as in `Simoncelli`."""

    method: str = field(default="laplacian_of_gaussian", init=False)
    padding: str
    dimensions: int
    sigma_mm: float
    cutoff: float = 4.0
    riesz: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        _check_choice("padding", self.padding, tuple(filters_separable.MODES))
        _check_choice("dimensions", self.dimensions, (2, 3))
        _check_positive("sigma_mm", self.sigma_mm)
        _check_positive("cutoff", self.cutoff)
        _check_riesz(self.riesz, self.dimensions)

    def reach(self, spacing: np.ndarray) -> tuple[float, ...]:
        """Where the kernel is cut off."""
        if self.riesz is not None:
            return _first_axes([math.inf] * 3, self.dimensions)
        reach = [
            filters_spatial.laplacian_reach(self.sigma_mm / size, self.cutoff) for size in spacing
        ]
        return _first_axes(reach, self.dimensions)

    def respond(self, image: np.ndarray, spacing: np.ndarray, box: Box) -> np.ndarray:
        """Negative where it is brighter than around, and its Riesz transform if asked for."""
        sigma = [float(self.sigma_mm / size) for size in spacing[: self.dimensions]]
        found = filters_spatial.laplacian_of_gaussian(image, sigma, self.cutoff, self.padding)
        if self.riesz is None:
            return found[box]
        everything = filters_frequency.everything
        return filters_frequency.by_frequency(found, everything, self.riesz, self.padding)[box]


@dataclass(frozen=True, kw_only=True)
class Laws:
    """A Laws filter, "L5E5" (by slice) or "E5L5S5" along i, j, k.

    pooling  over the right-angle rotations, or None for the filter as it stands
    delta    half-width in voxels of the box of the texture energy, or None for the response itself
    """

    method: str = field(default="laws", init=False)
    padding: str
    kernels: str
    pooling: str | None = None
    delta: int | None = None

    def __post_init__(self) -> None:
        _check_choice("padding", self.padding, tuple(filters_separable.MODES))
        _check_choice("pooling", self.pooling, (None, *filters_separable.POOLINGS))
        if self.delta is not None:
            _check_whole("delta", self.delta, 0, FARTHEST)
        filters_spatial.laws(str(self.kernels))

    def reach(self, spacing: np.ndarray) -> tuple[float, ...]:
        """The longest kernel and the energy's box."""
        lines = filters_spatial.laws(self.kernels)
        longest = max(kernel.size // 2 for line in lines for kernel in line)
        return _first_axes([longest + (self.delta or 0)] * len(spacing), len(lines))

    def respond(self, image: np.ndarray, spacing: np.ndarray, box: Box) -> np.ndarray:
        """The response, or the energy of what the rotations give, whatever the spacing."""
        lines = filters_spatial.laws(self.kernels)
        found = _turned(image, lines, self.padding, self.pooling)
        if self.delta is None:
            return found[box]
        return filters_separable.energy(found, self.delta, len(lines), self.padding)[box]


@dataclass(frozen=True, kw_only=True)
class Gabor:
    """Modulus of the response to a Gabor filter; of three dimensions: mean of orthogonal planes.

    theta_degrees  direction of the wave from a plane's first axis to its second, or
    step_degrees   the step between directions all round, whose responses are pooled
    """

    method: str = field(default="gabor", init=False)
    padding: str
    dimensions: int
    sigma_mm: float
    wavelength_mm: float
    gamma: float
    theta_degrees: float | None = None
    step_degrees: float | None = None
    pooling: str = "mean"

    def __post_init__(self) -> None:
        _check_choice("padding", self.padding, tuple(filters_separable.MODES))
        _check_choice("dimensions", self.dimensions, (2, 3))
        _check_choice("pooling", self.pooling, filters_separable.POOLINGS)
        for name in ("sigma_mm", "wavelength_mm", "gamma"):
            _check_positive(name, getattr(self, name))
        if (self.theta_degrees is None) == (self.step_degrees is None):
            raise InputError("filter.theta_degrees or filter.step_degrees; expected one of the two")
        if self.theta_degrees is not None and not _number(self.theta_degrees):
            raise InputError(f"filter.theta_degrees is {self.theta_degrees!r}; expected a number")
        if self.step_degrees is not None:
            step = self.step_degrees
            whole = _number(step) and 1 <= step <= 360 and abs(360 / step - round(360 / step))
            if whole is False or whole > 1e-9:
                raise InputError(
                    f"filter.step_degrees is {step!r}; expected a whole part of 360, from 1 up"
                )

    def reach(self, spacing: np.ndarray) -> tuple[float, ...]:
        """Where the envelope ends."""
        reach = [filters_spatial.gabor_reach(self.sigma_mm, self.gamma, size) for size in spacing]
        return _first_axes(reach, self.dimensions)

    def respond(self, image: np.ndarray, spacing: np.ndarray, box: Box) -> np.ndarray:
        """Pooled over the directions in each plane, then the mean of the planes."""
        shape = self.sigma_mm, self.wavelength_mm, self.gamma
        planes = (
            filters_spatial.gabor(
                image,
                [
                    filters_spatial.gabor_kernel(
                        shape, theta, [float(spacing[axis]) for axis in plane]
                    )
                    for theta in self._directions()
                ],
                plane,
                self.padding,
                pooling=self.pooling,
                box=box,
            )
            for plane in PLANES[self.dimensions]
        )
        return filters_separable.pooled(planes, "mean")

    def _directions(self) -> list[float]:
        """Radian. A wave and its opposite have one modulus, and stand once where both occur."""
        if self.theta_degrees is not None:
            return [math.radians(self.theta_degrees)]
        number = round(360 / float(self.step_degrees or 360))
        step = 2 * math.pi / number
        return [step * turn for turn in range(number // 2 if number % 2 == 0 else number)]


@dataclass(frozen=True, kw_only=True)
class Wavelet:
    """A band of the stationary wavelet transform, "LH" (by slice) or "LLH" along i, j, k."""

    method: str = field(default="wavelet", init=False)
    padding: str
    wavelet: str
    band: str
    level: int = 1
    pooling: str | None = None

    def __post_init__(self) -> None:
        _check_choice("padding", self.padding, tuple(filters_separable.MODES))
        _check_choice("pooling", self.pooling, (None, *filters_separable.POOLINGS))
        _check_whole("level", self.level, 1, MOST_LEVELS)
        self._lines()

    def reach(self, spacing: np.ndarray) -> tuple[float, ...]:
        """Of the kernels of all levels together."""
        lines = self._lines()
        longest = max(sum(kernel.size // 2 for kernel in line) for line in lines)
        return _first_axes([longest] * len(spacing), len(lines))

    def respond(self, image: np.ndarray, spacing: np.ndarray, box: Box) -> np.ndarray:
        """The band, or what the rotations of its filters give, whatever the spacing."""
        return _turned(image, self._lines(), self.padding, self.pooling)[box]

    def _lines(self) -> filters_separable.Lines:
        return wavelets.stationary(str(self.wavelet), str(self.band), self.level)


@dataclass(frozen=True, kw_only=True)
class Simoncelli:
    """A band of Simoncelli's non-separable wavelet.

    riesz  order of a Riesz transform along i, j (and k), such as (1, 0, 0), or None
    """

    method: str = field(default="simoncelli", init=False)
    padding: str
    dimensions: int
    level: int = 1
    riesz: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        _check_choice("padding", self.padding, tuple(filters_separable.MODES))
        _check_choice("dimensions", self.dimensions, (2, 3))
        _check_whole("level", self.level, 1, MOST_LEVELS)
        _check_riesz(self.riesz, self.dimensions)

    def reach(self, spacing: np.ndarray) -> tuple[float, ...]:
        """The whole image."""
        return _first_axes([math.inf] * len(spacing), self.dimensions)

    def respond(self, image: np.ndarray, spacing: np.ndarray, box: Box) -> np.ndarray:
        """The band, or its Riesz transform. Voxels count as cubes, whatever their spacing."""
        order = self.riesz or (0,) * self.dimensions
        radial = filters_frequency.simoncelli(self.level)
        return filters_frequency.by_frequency(image, radial, order, self.padding)[box]


METHODS: dict[str, type] = {
    "mean": Mean,
    "laplacian_of_gaussian": LaplacianOfGaussian,
    "laws": Laws,
    "gabor": Gabor,
    "wavelet": Wavelet,
    "simoncelli": Simoncelli,
}


def parse(table: Mapping[str, Any]) -> Filter:
    """A filter of the table [filter] of a configuration; a key that is not known is refused."""
    _check_choice("method", table.get("method"), tuple(METHODS))
    kind = METHODS[table["method"]]
    known = [one for one in fields(kind) if one.init]
    for key in table:
        if key != "method" and key not in [one.name for one in known]:
            raise InputError(
                f"filter.{key} is not known for {table['method']}; expected one of "
                + ", ".join(one.name for one in known)
            )
    for one in known:
        if one.default is MISSING and one.name not in table:
            raise InputError(f"filter.{one.name} is missing; {table['method']} needs it")
    settings = {key: value for key, value in table.items() if key != "method"}
    if isinstance(settings.get("riesz"), list):
        settings["riesz"] = tuple(settings["riesz"])
    made: Filter = kind(**settings)
    return made


def _turned(
    image: np.ndarray, lines: filters_separable.Lines, padding: str, pooling: str | None
) -> np.ndarray:
    if pooling is None:
        return filters_separable.separable(image, lines, padding)
    return filters_separable.rotated(image, lines, padding, pooling)


def _first_axes(reach: list[float] | list[int], dimensions: int) -> tuple[float, ...]:
    return tuple(one if axis < dimensions else 0 for axis, one in enumerate(reach))


def _check_choice(name: str, value: Any, known: tuple[Any, ...]) -> None:
    if isinstance(value, bool) or value not in known:
        listed = ", ".join(str(one) for one in known if one is not None)
        raise InputError(f"filter.{name} is {value!r}; expected one of {listed}")


def _check_whole(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(
            f"filter.{name} is {value!r}; expected a whole number from {low} to {high}"
        )


def _check_positive(name: str, value: Any) -> None:
    if not _number(value) or not value > 0:
        raise InputError(f"filter.{name} is {value!r}; expected a number above 0")


def _check_riesz(order: Any, dimensions: int) -> None:
    if order is None:
        return
    whole = isinstance(order, tuple) and all(type(one) is int and 0 <= one <= 8 for one in order)
    if not whole or len(order) != dimensions or not sum(order):
        raise InputError(
            f"filter.riesz is {order!r}; expected {dimensions} whole numbers, not all of them 0"
        )


def _number(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and abs(value) <= 1e12
    )
