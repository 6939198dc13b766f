"""T1 of every voxel from volumes at several flip angles: what `igdd t1` does.

Volumes of a spoiled gradient echo that differ in nothing but the flip angle (BIDS: VFA) are fitted
by least squares, a piece of voxels at a time (`igdd.kernels.concentration.variable_flip`). What
`igdd concentration --t1` takes comes out: seconds, on the same grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from igdd import catalog, provenance, units
from igdd.errors import InputError, UnitsError
from igdd.flags import FLAGS
from igdd.headers import quiet
from igdd.io import bids, bounded, nifti, sidecar, streamed
from igdd.kernels import concentration as kernel
from igdd.modalities._spoiled_echo import Echo, echo
from igdd.modalities.mr_dce import usable_b1, usable_t1
from igdd.stages.concentration import check_free, quantity
from igdd.types import Grid

# Samples that are fitted together.
PIECE = 1 << 17
KIND = np.dtype("<f4")


@dataclass(frozen=True, kw_only=True)
class Relaxed:
    """What became of the volumes: files, T1 first; the angles in degrees and TR in s.

    places  voxels; `fitted` of them have a T1
    """

    files: tuple[Path, ...]
    angles: tuple[float, ...]
    repetition: float
    places: int
    fitted: int
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Volumes:
    """Volumes of one grid, with the echo of each."""

    pieces: tuple[streamed.Pieces, ...]
    echoes: tuple[Echo, ...]
    files: tuple[Path, ...]

    @property
    def grid(self) -> Grid:
        """The grid of all."""
        return self.pieces[0].grid

    def read(self, first: int, last: int) -> np.ndarray:
        """Signals (n, angle) of the voxels from `first` up to, not including, `last`."""
        return np.concatenate([one.read(first, last) for one in self.pieces]).T.astype(float)


def t1(
    images: Sequence[Path | str],
    *,
    out: Path | str,
    tr: str | None = None,
    flip: str | Sequence[str] | None = None,
    b1: Path | str | None = None,
    b1_unit: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Relaxed:
    """T1 in s, and its standard deviation from three angles on, written into a folder.

    images    one NIfTI for each flip angle, or one whose volumes are the angles, or a folder of
              DICOM series of one volume each
    tr, flip  repetition time, and flip angles in the order of the volumes ("2 deg, 5 deg"), where
              the files do not say
    b1        path of a map of the share of the flip angles that was reached; `b1_unit`, 1 or %,
              where it does not say
    """
    folder = Path(out)
    bounded.writable(folder)
    targets = {"T1map": folder / "T1map.nii", "sd": folder / "T1map_sd.nii"}
    check_free((*targets.values(), *(path.with_suffix(".json") for path in targets.values())))
    with _opened([Path(one) for one in images], folder, tr, flip) as volumes:
        angles = tuple(one.flip for one in volumes.echoes)
        _check(volumes, angles)
        if len(angles) < 3:
            del targets["sd"]
        with opened_share(b1, b1_unit, volumes.grid, folder) as share:
            fitted = _write(targets, volumes, share, progress)
        found = Relaxed(
            files=tuple(targets.values()),
            angles=angles,
            repetition=volumes.echoes[0].repetition,
            places=volumes.grid.size,
            fitted=fitted,
            flags=tuple(sorted({flag for one in volumes.echoes for flag in one.flags})),
        )
        _describe(targets, found, volumes.files)
    return found


@contextmanager
def _opened(
    images: Sequence[Path], scratch: Path, tr: str | None, flip: str | Sequence[str] | None
) -> Iterator[Volumes]:
    """The volumes in pieces, with the echo of each."""
    with ExitStack() as stack:
        pieces: list[streamed.Pieces] = []
        facts: list[tuple[Mapping[str, Any], tuple[Any, ...], str]] = []
        for image in images:
            if nifti.is_nifti(image):
                one, _ = sidecar.read_sidecar(image)
                opened = stack.enter_context(streamed.opened(image, scratch))
                pieces.append(opened)
                facts += [(values, (), str(image)) for values in _by_volume(one, opened)]
                continue
            for series in catalog.read_series(image):
                if series.modality == "MR" and series.values.shape[3] == 1:
                    pieces.append(streamed.of_array(series.values, series.grid, series.source))
                    facts.append(({}, series.headers, series.source))
        stated = _angles(flip, len(facts))
        with quiet():
            echoes = [
                echo(*one, quantity(tr, "s", "tr"), angle)
                for one, angle in zip(facts, stated, strict=True)
            ]
        files = tuple(image for image in images if image.is_file())
        yield Volumes(pieces=tuple(pieces), echoes=tuple(echoes), files=files)


@contextmanager
def opened_map(path: Path, grid: Grid, scratch: Path, what: str) -> Iterator[streamed.Pieces]:
    """A map of one volume on the grid of the image that it is of, in pieces that keep step."""
    with streamed.opened(path, scratch) as pieces:
        if pieces.frames != 1:
            raise InputError(f"{path}: has {pieces.frames} volumes; expected a {what} map of one")
        if not pieces.grid.equals(grid):
            raise InputError(
                f"{path}: its grid {pieces.grid.shape} is not the image's {grid.shape}, or lies "
                f"elsewhere; expected a {what} map on the image's own grid; resample it"
            )
        yield pieces


@contextmanager
def opened_share(
    path: Path | str | None, unit: str | None, grid: Grid, scratch: Path
) -> Iterator[Callable[[int, int], np.ndarray | float]]:
    """What reads the share of the flip angle that was reached, piece by piece; 1 without a map."""
    if path is None:
        yield lambda first, last: 1.0
        return
    path = Path(path)
    stated = unit or sidecar.read_sidecar(path)[0].get("Units")
    if not (isinstance(stated, str) and units.converts(stated, "1")):
        raise UnitsError(
            f"{path}: its unit is {stated!r}; expected Units in its sidecar, 1 (a share) or %, or "
            "b1_unit"
        )
    factor = units.factor(stated, "1")
    with opened_map(path, grid, scratch, "B1") as pieces:
        yield lambda first, last: factor * pieces.read(first, last)[0].astype(float)


def in_seconds(stored: np.ndarray, unit: object, where: str) -> np.ndarray:
    """T1 in s of a map of T1 or of R1 in a unit; not above zero where the map is not.

    >>> in_seconds(np.array([1400.0, 0.0]), "ms", ""), in_seconds(np.array([0.8, 0.0]), "1/s", "")
    (array([1.4, 0. ]), array([1.25, 0.  ]))
    """
    inside = next((one for one in ("s", "1/s") if units.converts(str(unit), one)), None)
    if inside is None:
        raise UnitsError(
            f"{where}: its unit is {unit!r}; expected Units in its sidecar, or RescaleType "
            "(0028,1054) in DICOM, such as ms, s or 1/s"
        )
    found = np.asarray(units.factor(str(unit), inside) * stored.astype(float))
    if inside == "1/s":
        np.divide(1.0, found, out=found, where=found > 0)
    return found


def _by_volume(facts: Mapping[str, Any], pieces: streamed.Pieces) -> list[Mapping[str, Any]]:
    """The sidecar of each volume of a file, with its own angle where FlipAngle is a list."""
    angles = facts.get("FlipAngle")
    if isinstance(angles, list) and len(angles) == pieces.frames:
        return [{**facts, "FlipAngle": angle} for angle in angles]
    return [facts] * pieces.frames


def _angles(flip: str | Sequence[str] | None, count: int) -> list[float | None]:
    """Flip angles in degrees in the order of the volumes; None where the files shall say."""
    if flip is None:
        return [None] * count
    texts = flip.split(",") if isinstance(flip, str) else list(flip)
    if len(texts) != count:
        raise InputError(
            f"flip states {len(texts)} angles, but there are {count} volumes; expected one for "
            "each, in their order, such as '2 deg, 5 deg, 15 deg'"
        )
    return [quantity(text.strip(), "deg", "flip") for text in texts]


def _check(volumes: Volumes, angles: tuple[float, ...]) -> None:
    """Refuse what cannot tell T1: fewer than two angles, other grids, other repetition times."""
    if len(set(angles)) < 2:
        raise InputError(
            f"{len(angles)} volumes at {len(set(angles))} flip angles; expected two or more angles"
        )
    for one in volumes.pieces[1:]:
        if not one.grid.equals(volumes.grid):
            raise InputError(
                f"{one.source}: its grid {one.grid.shape} is not the first volume's "
                f"{volumes.grid.shape}, or lies elsewhere; expected one grid; resample it"
            )
    times = sorted({one.repetition for one in volumes.echoes})
    if times[-1] > times[0] * (1 + 1e-3):
        raise InputError(
            f"the repetition times run from {times[0]:g} to {times[-1]:g} s; expected one for all "
            "flip angles"
        )


def _write(
    targets: Mapping[str, Path],
    volumes: Volumes,
    share: Callable[[int, int], np.ndarray | float],
    progress: Callable[[int, int], None] | None,
) -> int:
    """Fit and write piece by piece; how many voxels have a T1."""
    nominal = np.deg2rad([one.flip for one in volumes.echoes])
    repetition, size = volumes.echoes[0].repetition, volumes.grid.size
    step = PIECE // nominal.size + 1
    fitted = 0
    with streamed.drafts(
        {name: (path, KIND) for name, path in targets.items()}, volumes.grid
    ) as to:
        for first in range(0, size, step):
            last = min(first + step, size)
            signal = volumes.read(first, last)
            flip = usable_b1(share(first, last))[..., None] * nominal
            with np.errstate(all="ignore"):
                rate, magnetization = kernel.variable_flip(signal, flip, repetition)
                # A negative M0 is a straight line through noise.
                found = usable_t1(np.where(magnetization > 0, 1 / rate, np.nan))
                to["T1map"].write(found.astype(KIND).data)
                if "sd" in to:
                    spread = kernel.variable_flip_spread(
                        rate, magnetization, signal, flip, repetition
                    )
                    to["sd"].write((found * spread).astype(KIND).data)
            fitted += int(np.isfinite(found).sum())
            if progress is not None:
                progress(last, size)
        if not fitted:
            raise InputError(
                "no voxel has a T1 from 1 ms to 20 s; expected signals that differ by flip angle "
                "alone, and angles and repetition time each in its unit"
            )
    return fitted


def _describe(targets: Mapping[str, Path], found: Relaxed, files: tuple[Path, ...]) -> None:
    """The JSON beside the map, and beside its standard deviation."""
    about = {
        "Units": "s",
        "FlipAngle": list(found.angles),
        "RepetitionTimeExcitation": found.repetition,
        "Voxels": {"Number": found.places, "Fitted": found.fitted},
        "Flags": list(found.flags),
        "Sources": {path.name: provenance.sha256(path) for path in files},
        "Software": provenance.versions(),
    }
    words = "T1 by least squares over the signals at several flip angles"
    bids.write_json(targets["T1map"].with_suffix(".json"), {"Description": words, **about})
    if "sd" in targets:
        words = "standard deviation of T1, from the residuals of its fit"
        bids.write_json(targets["sd"].with_suffix(".json"), {"Description": words, "Units": "s"})


def as_json(found: Relaxed) -> dict[str, Any]:
    """The result as JSON."""
    return {
        "unit": "s",
        "flip_angles_deg": list(found.angles),
        "repetition_time_s": found.repetition,
        "places": found.places,
        "fitted": found.fitted,
        "flags": list(found.flags),
        "files": [str(path) for path in found.files],
    }


def text(found: Relaxed) -> str:
    """What was made, as lines."""
    angles = ", ".join(f"{angle:g}" for angle in found.angles)
    return "\n".join([
        f"TR {1000 * found.repetition:g} ms, flip angles {angles} degrees",
        f"{found.fitted} of {found.places} voxels have a T1",
        *(f"{flag}: {FLAGS[flag]}" for flag in found.flags),
        *(f"  {path}" for path in found.files),
    ])  # fmt: skip
