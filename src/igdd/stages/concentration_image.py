"""A dynamic signal image made into one of concentration, a piece of voxels at a time.

Beside the concentration stand a map of flags, and one of how much the baseline's frames scatter,
where there are two or more of them. Memory does not grow with the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from igdd import catalog, provenance
from igdd.errors import InputError
from igdd.flags import FLAGS
from igdd.headers import quiet
from igdd.io import bids, nifti, sidecar, streamed
from igdd.modalities._dynamic import frame_times, overridden
from igdd.modalities._spoiled_echo import baseline_frames, check_pace
from igdd.modalities.mr_dce import Doubt, Reading, concentrations, sentence
from igdd.stages.concentration import (
    SHOWN,
    UNIT,
    Asked,
    Converted,
    Progress,
    account,
    check_free,
    is_signal,
    quantity,
    relaxivity_of,
    t1_in_seconds,
)
from igdd.stages.relaxation import in_seconds, opened_map, opened_share
from igdd.types import Frames, Grid, Series

# Samples that are converted together: what double precision makes of them stays in the cache.
PIECE = 1 << 19
# What a sidecar says of the clock, and is kept.
CLOCK = ("TimeZero", "ScanStart", "InjectionStart", "InjectionEnd", "AcquisitionTime")
VALUES, BITS = np.dtype("<f4"), np.dtype("u1")


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """A signal image before a sample of it is read; `frames` and `reading` as it will be read."""

    pieces: streamed.Pieces
    frames: Frames
    reading: Reading
    clock: Mapping[str, Any]
    flags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Relaxation:
    """T1 in s before contrast: of all voxels, or of those of a map in pieces, in its unit."""

    of_all: float = np.nan
    pieces: streamed.Pieces | None = None
    unit: str = "s"

    def read(self, first: int, last: int) -> np.ndarray | float:
        """T1 of the voxels from `first` up to, not including, `last`."""
        if self.pieces is None:
            return self.of_all
        return in_seconds(self.pieces.read(first, last)[0], self.unit, self.pieces.source)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Maps:
    """What differs from voxel to voxel: T1, and the share of the flip angle."""

    t1: Relaxation
    share: Callable[[int, int], np.ndarray | float]


def convert(image: Path, folder: Path, asked: Asked, progress: Progress | None = None) -> Converted:
    """Concentration, flags and the scatter of the baseline as images in a folder."""
    targets = {name: folder / f"{name}.nii" for name in ("concentration", "flags", "baseline_sd")}
    tables = [path.with_suffix(".json") for path in targets.values()]
    check_free((*targets.values(), *tables))
    with _opened(image, folder, asked) as seen:
        repeated = seen.reading.baseline[1] - seen.reading.baseline[0] > 1
        if not repeated:
            del targets["baseline_sd"]
        grid = seen.pieces.grid
        with (
            _relaxation(asked, grid, folder) as t1,
            opened_share(asked.b1, asked.b1_unit, grid, folder) as share,
        ):
            counts, converted = _write(targets, seen, _Maps(t1=t1, share=share), progress)
        size = seen.pieces.grid.size
        _describe(image, targets, seen, asked, {"Number": size, "Converted": converted,
                                                "Flagged": counts})  # fmt: skip
    first, stop = seen.reading.baseline
    return Converted(
        files=tuple(targets.values()),
        echo=seen.reading.echo,
        baseline=(first + 1, stop),
        places=size,
        converted=converted,
        counts=counts,
        flags=seen.flags,
    )


@contextmanager
def _opened(image: Path, folder: Path, asked: Asked) -> Iterator[Seen]:
    """The image, with what its files and the caller say of it."""
    interval = quantity(asked.interval, "s", "interval")
    flags: set[str] = set()
    facts: Mapping[str, Any] = {}
    headers: tuple[Any, ...] = ()
    if nifti.is_nifti(image):
        facts, _ = sidecar.read_sidecar(image)
        is_signal(facts.get("Units"), str(image))
        source: AbstractContextManager[streamed.Pieces] = streamed.opened(image, folder)
    else:
        series = _dynamic_series(image)
        headers, flags = series.headers, {*series.flags}
        source = nullcontext(streamed.of_array(series.values, series.grid, series.source))
    with source as pieces:
        where = str(image)
        with quiet() as warned:
            made = asked.echo(facts, headers, where)
            if interval is None:
                sidecar.check_frames(dict(facts), pieces.frames, image)
            begun, duration = frame_times(facts, headers, pieces.frames, where, interval)
            flags |= {*overridden(facts, headers, pieces.frames, interval)}
        try:
            frames = Frames(start=begun, duration=duration, zero=sidecar.zero_of(facts))
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        check_pace(made, frames, where)
        reading = Reading(
            echo=made,
            baseline=baseline_frames(asked.baseline, frames, where),
            relaxivity=_one_relaxivity(asked),
        )
        flags |= {*made.flags} | ({"header_warning"} if warned else set())
        clock = {key: facts[key] for key in CLOCK if key in facts}
        yield Seen(
            pieces=pieces,
            frames=frames,
            reading=reading,
            clock=clock,
            flags=tuple(sorted(flags)),
        )


def _dynamic_series(image: Path) -> Series:
    """The one MR series of a folder that has more than one frame."""
    every = [one for one in catalog.read_series(image) if one.modality == "MR"]
    dynamic = [one for one in every if one.values.shape[3] > 1]
    if len(dynamic) != 1:
        raise InputError(
            f"{image}: {len(dynamic)} of {len(every)} MR series have several frames; expected one; "
            "give its own folder: " + "; ".join(one.source for one in every)
        )
    return dynamic[0]


def _one_relaxivity(asked: Asked) -> float:
    if not isinstance(asked.r1, str):
        raise InputError("r1 is given by region; expected one for an image, such as '3.7 L/mmol/s'")
    return relaxivity_of(asked.r1)


@contextmanager
def _relaxation(asked: Asked, grid: Grid, scratch: Path) -> Iterator[Relaxation]:
    """T1 as the caller states it, or a map of T1 or R1 on the image's own grid."""
    if isinstance(asked.t1, Mapping):
        raise InputError(
            "t1 is given by region; expected one for an image, such as '1400 ms', or a map of it"
        )
    if not _is_map(asked.t1):
        yield Relaxation(of_all=t1_in_seconds(str(asked.t1)))
        return
    path = Path(asked.t1)
    facts, _ = sidecar.read_sidecar(path)
    with opened_map(path, grid, scratch, "T1") as pieces:
        found = Relaxation(pieces=pieces, unit=str(asked.t1_unit or facts.get("Units")))
        found.read(0, 1)
        yield found


def _is_map(t1: object) -> bool:
    """Whether a T1 is stated by the name of a map."""
    return str(t1).endswith(nifti.SUFFIXES)


def _write(
    targets: Mapping[str, Path], seen: Seen, maps: _Maps, progress: Progress | None
) -> tuple[dict[str, int], int]:
    """Convert and write piece by piece; how many voxels each doubt holds for, and how many have a
    concentration in every frame."""
    pieces, reading = seen.pieces, seen.reading
    size = pieces.grid.size
    step = PIECE // pieces.frames + 1
    counts = dict.fromkeys(Doubt, 0)
    some = whole = 0
    course = {"concentration": (targets["concentration"], VALUES)}
    single = {name: (path, BITS if name == "flags" else VALUES)
              for name, path in targets.items() if name != "concentration"}  # fmt: skip
    with (
        streamed.drafts(course, pieces.grid, pieces.frames) as written,
        streamed.drafts(single, pieces.grid) as beside,
    ):
        begin = written["concentration"].tell()
        for first in range(0, size, step):
            last = min(first + step, size)
            signal, share = pieces.read(first, last), maps.share(first, last)
            found, bits = concentrations(signal, maps.t1.read(first, last), reading, share)
            shown = (SHOWN * found).astype(VALUES)
            streamed.put(written["concentration"], begin, shown, first, size)
            beside["flags"].write(bits.astype(BITS).data)
            if "baseline_sd" in beside:
                scatter = SHOWN * found[reading.frames].std(axis=0, ddof=1)
                beside["baseline_sd"].write(scatter.astype(VALUES).data)
            for bit in counts:
                counts[bit] += int(np.count_nonzero(bits & bit))
            some += int(np.isfinite(found).any(axis=0).sum())
            whole += int(np.count_nonzero(bits == 0))
            if progress is not None:
                progress(last, size)
        flagged = {bit.flags[0]: count for bit, count in counts.items() if count}
        if not some:
            raise InputError(
                f"{pieces.source}: no voxel has a concentration in any frame ("
                + ", ".join(f"{name}: {count}" for name, count in flagged.items())
                + "); expected signals above zero, and the T1, repetition time and flip angle that "
                "they were made with, each in its unit"
            )
    return flagged, whole


def _describe(
    image: Path, targets: Mapping[str, Path], seen: Seen, asked: Asked, voxels: Mapping[str, Any]
) -> None:
    """The JSON beside each image: what `igdd map` reads, and how it was made."""
    mapped = _is_map(asked.t1)
    words = "of each voxel by its map" if mapped else str(asked.t1)
    used = [image] if image.is_file() else []
    used += [Path(str(asked.t1))] if mapped else []
    used += [Path(asked.b1)] if asked.b1 is not None else []
    bids.write_json(targets["concentration"].with_suffix(".json"), {
        "Modality": "MR",
        "Description": sentence(seen.reading, words),
        "Units": UNIT,
        "FrameTimesStart": seen.frames.start,
        "FrameDuration": seen.frames.duration,
        **seen.clock,
        **account(seen.reading, asked),
        "Voxels": voxels,
        "Flags": list(seen.flags),
        "Sources": {path.name: provenance.sha256(path) for path in used},
        "Software": provenance.versions(),
    })  # fmt: skip
    bits = {str(bit.value): {"Name": bit.flags[0], "Meaning": FLAGS[bit.flags[0]]} for bit in Doubt}
    bids.write_json(
        targets["flags"].with_suffix(".json"),
        {"Description": "bits, summed; 0: none", "Bits": bits},
    )
    if "baseline_sd" in targets:
        about = "standard deviation of the concentration over the frames of the baseline"
        bids.write_json(
            targets["baseline_sd"].with_suffix(".json"), {"Description": about, "Units": UNIT}
        )
