"""The things that pass between stages: frozen, valid from construction, with read-only arrays.

Internal units are s, mm, mL, g, Bq, mol and their quotients.
World coordinates are millimetres, RAS+.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import sparse

from igdd.errors import InputError
from igdd.facts import Agent, Collected, Subject
from igdd.uncertainty import Estimate

if TYPE_CHECKING:
    from pydicom import Dataset

# Millimetres beyond which no image lies: a kilometre.
FARTHEST = 1e6

ANALYTES = ("carrier", "drug", "drug_free", "drug_encapsulated", "label", "label_free", "contrast")
KINDS = ("organ", "lesion", "blood", "reference", "remainder")


def freeze(instance: object) -> None:
    """Replace every array of a frozen dataclass by a read-only view of it."""
    for item in dataclasses.fields(instance):  # type: ignore[arg-type]
        value = getattr(instance, item.name)
        if isinstance(value, np.ndarray):
            view = value.view()
            view.flags.writeable = False
            object.__setattr__(instance, item.name, view)


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """A voxel lattice: `shape` (i, j, k) and `affine` (4, 4) from indices to RAS+ mm of centres.

    >>> round(Grid(shape=(2, 2, 2), affine=np.diag([2.0, 2.0, 5.0, 1.0])).voxel_volume, 6)
    0.02
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise InputError(f"grid shape is {self.shape}; expected three positive numbers")
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise InputError("grid affine must be a finite 4 x 4 matrix")
        if not np.abs(self.affine).max() <= FARTHEST:
            raise InputError(f"grid affine reaches beyond {FARTHEST:g} mm; its header is damaged")
        with np.errstate(all="ignore"):
            lengths = np.prod(np.linalg.norm(self.affine[:3, :3], axis=0))
            singular = not abs(np.linalg.det(self.affine[:3, :3])) > max(1e-9 * lengths, 1e-24)
        if singular:
            raise InputError("grid affine is singular: a voxel has no volume")
        freeze(self)

    @property
    def voxel_volume(self) -> float:
        """Volume of a voxel in mL."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000)

    @property
    def spacing(self) -> np.ndarray:
        """Distance in mm between neighbours along i, j, k."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape))

    def world(self, indices: np.ndarray) -> np.ndarray:
        """World coordinates (..., 3) in mm of voxel indices (..., 3)."""
        return np.asarray(indices @ self.affine[:3, :3].T + self.affine[:3, 3])

    def indices(self, world: np.ndarray) -> np.ndarray:
        """Fractional voxel indices (..., 3) of world coordinates (..., 3) in mm."""
        return np.asarray((world - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T)

    def equals(self, other: Grid, tolerance: float = 0.01) -> bool:
        """Whether every corner of the other grid lies within `tolerance` voxels of this one's."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1).T
        moved = self.indices(other.world(corners))
        return bool(np.abs(moved - corners).max() <= tolerance)


@dataclass(frozen=True, kw_only=True)
class Zero:
    """What time zero is, and the clock time it fell on (naive local time, or None if not known)."""

    kind: Literal["administration", "scan_start"]
    clock: datetime | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Frames:
    """Acquisition frames: `start` and `duration` (t,) in seconds after `zero`.

    sampled  whether values are of the instants in the frames' middles, not means over the frames
    """

    start: np.ndarray
    duration: np.ndarray
    zero: Zero
    sampled: bool = False

    def __post_init__(self) -> None:
        if self.start.ndim != 1 or self.start.shape != self.duration.shape or not self.start.size:
            raise InputError(
                f"{self.start.size} frame starts but {self.duration.size} durations; "
                "expected one of each for every frame"
            )
        if not np.isfinite(self.start).all():
            raise InputError("a frame start is not finite; expected seconds after time zero")
        shortest = int(np.argmin(self.duration))
        if not self.duration[shortest] > 0:
            raise InputError(
                f"frame {shortest + 1} lasts {self.duration[shortest]:g} s; expected > 0"
            )
        freeze(self)

    @property
    def middle(self) -> np.ndarray:
        """Frame mid-times (t,) in s."""
        return np.asarray(self.start + self.duration / 2)

    @property
    def end(self) -> np.ndarray:
        """Frame ends (t,) in s."""
        return np.asarray(self.start + self.duration)


@dataclass(frozen=True, kw_only=True)
class Decay:
    """The nuclide, its half-life in s, and the instant that values are corrected to.

    `corrected_to` is in seconds after the frames' zero; None means the mean over each frame, not
    corrected. Only `igdd.decay` multiplies by an exponential, and correcting twice is an error.
    """

    nuclide: str
    half_life: float
    corrected_to: float | None

    def __post_init__(self) -> None:
        if not self.half_life > 0:
            raise InputError(f"half-life of {self.nuclide} is {self.half_life} s; expected > 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """One series as stored, in world geometry: what a reader gives and `calibrate` takes.

    values   (i, j, k, t) float32: stored samples times each slice's own slope (plus intercept)
    headers  DICOM: pydicom datasets without pixels, slice by slice within frame by frame, else ()
    sidecar  BIDS: the JSON beside the NIfTI, else {}
    files    every file that was read, for provenance
    """

    modality: str
    values: np.ndarray
    grid: Grid
    headers: tuple[Dataset, ...] = ()
    sidecar: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    files: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values.ndim != 4 or self.values.shape[:3] != self.grid.shape:
            raise InputError(
                f"{self.source}: values have shape {self.values.shape}; "
                f"expected {self.grid.shape} and one axis of frames"
            )
        freeze(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """One quantity in one unit on one grid, in one decay state.

    values    (i, j, k, t); NaN where there is none
    variance  same shape as values or None where noise is unknown: random, per voxel
    noise_correlation  FWHM in mm of the noise's correlation, needed to sum `variance` over voxels
    scale_cv  relative standard deviation shared by the whole image (calibration)
    source    the rule by which values were made, in words ready for a methods section
    """

    values: np.ndarray
    grid: Grid
    quantity: str
    unit: str
    analyte: str
    frames: Frames
    decay: Decay | None = None
    variance: np.ndarray | None = None
    noise_correlation: float = 0.0
    scale_cv: float = 0.0
    source: str = ""
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        expected = (*self.grid.shape, self.frames.start.size)
        if self.values.shape != expected:
            raise InputError(f"image values have shape {self.values.shape}; expected {expected}")
        if self.analyte not in ANALYTES:
            raise InputError(
                f"analyte {self.analyte!r} is unknown; expected one of {', '.join(ANALYTES)}"
            )
        if self.variance is not None and self.variance.shape != expected:
            raise InputError(f"variance has shape {self.variance.shape}; expected {expected}")
        freeze(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class Regions:
    """Regions of interest as one sparse matrix `weights` (region, voxel), 0..1, voxels in C order.

    Label maps, segmentations, polygons, rules and overlaps are all this. Sampling is
    `weights @ values`; `volume` is the sum of a row times the voxel's volume.
    """

    weights: sparse.csr_matrix
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    grid: Grid
    flags: tuple[tuple[str, ...], ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        count = len(self.names)
        if self.weights.shape != (count, self.grid.size):
            raise InputError(
                f"region weights have shape {self.weights.shape}; "
                f"expected {(count, self.grid.size)}"
            )
        if len(self.kinds) != count:
            raise InputError(f"{count} region names but {len(self.kinds)} kinds")
        if len(set(self.names)) != count:
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            raise InputError(f"region names must be unique; found twice: {', '.join(twice)}")
        for kind in self.kinds:
            if kind not in KINDS:
                raise InputError(
                    f"region kind {kind!r} is unknown; expected one of {', '.join(KINDS)}"
                )
        if self.weights.nnz and not (
            self.weights.data.min() >= 0 and self.weights.data.max() <= 1 + 1e-6
        ):
            raise InputError("region weights must lie between 0 and 1")
        if not self.flags:
            object.__setattr__(self, "flags", ((),) * count)

    @property
    def volume(self) -> np.ndarray:
        """Volume of each region (region,) in mL."""
        return np.asarray(self.weights.sum(axis=1)).ravel() * self.grid.voxel_volume

    def mask(self, name: str) -> np.ndarray:
        """Weights of one region as an array (i, j, k)."""
        row = self.weights[self.names.index(name)]
        return np.asarray(row.toarray().reshape(self.grid.shape))


@dataclass(frozen=True, kw_only=True, eq=False)
class Modes:
    """Independent ways in which sampling can be off: what one standard deviation of each does.

    values  (mode, region, time): change of every mean, in the curves' unit
    volume  (mode, region): change of every volume in mL, so that mean and volume stay correlated
    """

    values: np.ndarray
    volume: np.ndarray

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.volume.shape != self.values.shape[:2]:
            raise InputError(
                f"modes have shapes {self.values.shape} and {self.volume.shape}; "
                "expected (mode, region, time) and (mode, region)"
            )
        freeze(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class Curves:
    """Mean of a quantity in each region and frame.

    values      (region, time)
    covariance  (time, region, region): image noise; NaN where noise is unknown
    volume      (region,) in mL, and its standard deviation `volume_sd`
    scale_cv    relative standard deviation shared by all rows of the scan
    stated      unit in which a table states the values, where that is another than `unit`
    modes       systematic parts (borders, point spread, non-uniformity), or None if there are none
    """

    values: np.ndarray
    covariance: np.ndarray
    volume: np.ndarray
    volume_sd: np.ndarray
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    frames: Frames
    quantity: str
    unit: str
    analyte: str
    decay: Decay | None = None
    scale_cv: float = 0.0
    flags: tuple[tuple[str, ...], ...] = ()
    source: str = ""
    modes: Modes | None = None
    stated: str = ""

    def __post_init__(self) -> None:
        regions, times = len(self.names), self.frames.start.size
        if self.values.shape != (regions, times):
            raise InputError(f"curves have shape {self.values.shape}; expected {(regions, times)}")
        if self.covariance.shape != (times, regions, regions):
            raise InputError(
                f"covariance has shape {self.covariance.shape}; "
                f"expected {(times, regions, regions)}"
            )
        if self.volume.shape != (regions,) or self.volume_sd.shape != (regions,):
            raise InputError(f"volumes must have shape {(regions,)}")
        if self.modes is not None and self.modes.values.shape[1:] != (regions, times):
            raise InputError(f"modes must be of {regions} regions and {times} frames")
        if not self.flags:
            object.__setattr__(self, "flags", ((),) * regions)
        freeze(self)

    def of(self, rows: Sequence[int]) -> Curves:
        """The curves of some regions, by number."""
        picked = list(rows)
        modes = self.modes
        if modes is not None:
            modes = Modes(values=modes.values[:, picked], volume=modes.volume[:, picked])
        return dataclasses.replace(
            self,
            values=self.values[picked],
            covariance=self.covariance[:, picked][:, :, picked],
            volume=self.volume[picked],
            volume_sd=self.volume_sd[picked],
            names=tuple(self.names[row] for row in picked),
            kinds=tuple(self.kinds[row] for row in picked),
            flags=tuple(self.flags[row] for row in picked),
            modes=modes,
        )

    def mean_covariance(self, time: int) -> np.ndarray:
        """Covariance (region, region) of the means of a frame: noise, where known, and modes."""
        noise = np.asarray(np.nan_to_num(self.covariance[time], nan=0.0))
        if self.modes is None:
            return noise
        change = self.modes.values[:, :, time]
        return np.asarray(noise + change.T @ change)

    def amount_covariance(self, time: int) -> np.ndarray:
        """Covariance (region, region) of mean times volume in a frame: noise, where known, and
        modes. A border drawn too wide lowers the mean and raises the volume, so that the amount
        is better known than either."""
        noise = np.nan_to_num(self.covariance[time], nan=0.0) * np.outer(self.volume, self.volume)
        if self.modes is None:
            own = np.nan_to_num(self.values[:, time] * self.volume_sd, nan=0.0)
            return np.asarray(noise + np.diag(own**2))
        change = self.modes.values[:, :, time] * self.volume
        # An empty region has no mean, and must not make the others' amounts unknown (0 * NaN).
        means = np.where(self.volume > 0, self.values[:, time], 0.0)
        change = change + self.modes.volume * means
        return np.asarray(noise + change.T @ change)

    def estimate(self, region: int, time: int) -> Estimate:
        """Concentration of a region in a frame, with its random and shared uncertainty."""
        value = float(self.values[region, time])
        shared = abs(value) * self.scale_cv
        variance = float(self.covariance[time, region, region])
        if self.modes is not None:
            variance += float(np.sum(self.modes.values[:, region, time] ** 2))
        random = float(np.sqrt(variance))
        return Estimate(value=value, sd=float(np.hypot(random, shared)), sd_shared=shared)


@dataclass(frozen=True, kw_only=True, eq=False)
class Beside:
    """Another image of a session on its own grid, and the FWHM in mm of its point spread."""

    image: Image
    psf: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Session:
    """One scan of one subject, calibrated and sampled: what a metric of level "session" receives.

    curves     as imaged; `recovered` the same regions corrected for partial volume, or None.
               Both may end with the region "remainder" (the rest of the field of view).
    densities  tissue density in g/mL by region name; "" holds the default
    factors    the series' own normalisers and other facts of the conversion (name -> value)
    psf        full width at half maximum in mm of the scanner's point spread, and its standard
               deviation `psf_sd`; None where it is not known
    others     further images of the visit by name, such as of the target; nothing is registered
    """

    subject: Subject
    name: str
    agent: Agent
    curves: Curves
    recovered: Curves | None = None
    image: Image | None = None
    regions: Regions | None = None
    densities: Mapping[str, float] = field(default_factory=lambda: {"": 1.0})
    collected: tuple[Collected, ...] = ()
    flags: tuple[str, ...] = ()
    psf: float | None = None
    psf_sd: float = 0.0
    others: Mapping[str, Beside] = field(default_factory=dict)

    def density(self, region: str) -> float:
        """Density in g/mL of a region."""
        return self.densities.get(region, self.densities[""])

    def net_activity(self) -> Estimate | None:
        """Net administered activity in Bq, at the (first) administration; None if not known."""
        if len(self.subject.given) != 1:
            return None
        return self.subject.given[0].activity
