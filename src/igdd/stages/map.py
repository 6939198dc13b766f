"""Maps: a kinetic model fitted to every voxel of a dynamic image, streamed a piece at a time.

Each piece is read, solved and written before the next, several at a time in threads; parameter,
standard-error and flag images grow on disk, not in memory. A voxel gives the same numbers as a
region that consists of it alone.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from igdd import catalog
from igdd.declare import Model
from igdd.errors import InputError
from igdd.io import bounded, streamed
from igdd.kinetics import Integration, Status
from igdd.stages import map_files, map_job
from igdd.stages import protocol as doors
from igdd.stages.fit import Inputs, inputs_by_role
from igdd.stages.fit_task import shared_names
from igdd.stages.fit_text import notes_json
from igdd.stages.frame_noise import Spread
from igdd.types import Frames, Image

Progress = Callable[[int, int], None]

# Bytes of a piece in single precision at most: little against a third-level cache of 32 MB, so that
# what was read is still there to be solved.
PIECE_BYTES = 16 * 2**20


@dataclass(frozen=True, kw_only=True, eq=False)
class MapResult:
    """What a map leaves on disk.

    maps, sd  parameter -> image in its display unit, and of its standard error
    flags     image of the bits of `igdd.kinetics.Status`; `counts` voxels by name of the flag
    account   the JSON that says how all this was made
    voxels    in the mask; `fitted` of them have a value
    notes     what was chosen for all voxels alike: t*
    """

    model: str
    maps: Mapping[str, Path]
    sd: Mapping[str, Path]
    units: Mapping[str, str]
    flags: Path
    account: Path
    voxels: int
    fitted: int
    counts: Mapping[str, int]
    notes: Mapping[str, float]
    input_flags: tuple[str, ...] = ()


def map_image(
    model: str | Model,
    image: Path | str | Image,
    inputs: Inputs,
    *,
    out: Path | str,
    mask: Path | str | np.ndarray | None = None,
    start: str | float | None = None,
    end: str | float | None = None,
    hold: Mapping[str, str | float] | None = None,
    free: Iterable[str] = (),
    shared: Iterable[str] | None = None,
    sd: Spread | None = None,
    integration: Integration | None = None,
    frames: Frames | None = None,
    unit: str | None = None,
    nuclide: str | None = None,
    chunk: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> MapResult:
    """Maps of a model's parameters, their standard errors and flags, written into a folder.

    image       4-D NIfTI with its PET-BIDS sidecar, or an Image
    inputs      role (plasma, blood, reference) -> curve, on the clock of the frames, or a table of
                blood, or several
    mask        label or weight image on the same grid: voxels at least half in it; None: all
    start, end  frames used lie between them; the start is t* of a graphical model, which without
                one is chosen by rule in the mean curve of the image, once for all voxels
    hold, free  as in `igdd.stages.fit.fit`
    shared      parameters with one value for all voxels, from kinds of their curves; None: as in
                `igdd.stages.fit.fit`
    sd          standard deviations (t,) of the frames, up to one factor; "counts": as counting
                leaves them in the image's mean curve; "equal" or None: all alike
    frames      of an image without a sidecar, or in its stead; `unit` likewise; `nuclide` of values
                that are corrected for decay to time zero
    chunk       voxels that are solved together; `workers` threads; `progress(done, total)`
    """
    declared: Model = catalog.find("models", model) if isinstance(model, str) else model
    folder, free = Path(out), tuple(free)
    seen = map_files.describe(image, frames, unit, nuclide)
    doors.check_corrected(declared, seen.decay)
    curves = inputs_by_role(inputs, seen.decay)
    settings = map_job.Settings(
        start=start,
        end=end,
        hold=hold,
        free=free,
        shared=shared_names(declared, shared, {*(hold or {}), *free}, curves),
        sd=sd,
        integration=integration,
        options=options,
    )
    setup = map_job.ready(declared, seen.frames, seen.unit, curves, settings)
    bounded.writable(folder)
    with _opened(image, folder) as pieces, map_files.opened_mask(mask, pieces.grid, folder) as seat:
        pace = _Pace(pieces, chunk, workers, progress)
        # What compares frames does not say how large the noise of a figure is.
        if isinstance(sd, str) and sd == "counts" and not declared.describes:
            setup = map_job.by_counts(setup, seen.decay, pieces, seat)
        job, notes = map_job.settled(setup, settings.shared, pieces, seat)
        return _run(job, seen, folder, notes, pace)


class _Pace:
    """How the work is cut: pieces, threads, and who is told."""

    def __init__(
        self,
        pieces: streamed.Pieces,
        chunk: int | None,
        workers: int | None,
        progress: Progress | None,
    ) -> None:
        for name, number in (("chunk", chunk), ("workers", workers)):
            if number is not None and number < 1:
                raise InputError(f"{name} is {number}; expected 1 or more")
        size = (
            min(map_job.PIECE, PIECE_BYTES // (4 * pieces.frames) + 1) if chunk is None else chunk
        )
        self.cuts = [
            (first, min(first + size, pieces.grid.size))
            for first in range(0, pieces.grid.size, size)
        ]
        self.workers = (os.cpu_count() or 1) if workers is None else workers
        self.progress = progress


def _opened(image: Path | str | Image, folder: Path) -> AbstractContextManager[streamed.Pieces]:
    if isinstance(image, Image):
        return nullcontext(streamed.of_array(image.values, image.grid, image.source))
    return streamed.opened(Path(image), folder)


def _run(
    job: map_job.Job, seen: map_files.Seen, folder: Path, notes: Mapping[str, float], pace: _Pace
) -> MapResult:
    """Solve all pieces in threads, write them in order, and the accounts when all is whole."""
    names = [one.name for one in job.setup.shown]
    maps = {name: folder / f"{name}.nii" for name in names}
    sd = {name: folder / f"{name}_sd.nii" for name in names}
    flags = folder / "flags.nii"
    files = {name: (path, map_job.MAP_KIND) for name, path in maps.items()}
    files |= {f"{name} sd": (path, map_job.MAP_KIND) for name, path in sd.items()}
    counts = dict.fromkeys(Status, 0)
    voxels = fitted = 0
    with ThreadPoolExecutor(pace.workers) as pool:
        hashed = pool.submit(map_files.hashes, seen.files)
        with streamed.drafts(
            {**files, "flags": (flags, map_job.FLAG_KIND)}, job.pieces.grid
        ) as streams:
            for answer in _in_order(job, pool, pace):
                for row, name in enumerate(names):
                    streams[name].write(answer.values[row].data)
                    streams[f"{name} sd"].write(answer.sd[row].data)
                streams["flags"].write(answer.status.data)
                for bit in counts:
                    counts[bit] += int(np.count_nonzero(answer.status & bit))
                voxels += answer.inside
                lost = int(np.count_nonzero(answer.status & Status.NOT_FITTED))
                fitted += answer.inside - lost
            if not voxels:
                raise InputError("no voxel lies at least half in the mask; is it of another scan?")
        flagged = {bit.flags[0]: count for bit, count in counts.items() if count}
        of_inputs = {flag for one in job.setup.protocol.inputs.values() for flag in one.flags}
        input_flags = tuple(sorted(of_inputs))
        account = map_files.write_accounts(
            folder,
            job.setup.model,
            job.setup.shown,
            {
                **map_files.protocol_facts(job.setup.protocol, seen),
                "FrameDeviations": _numbers(job.setup.sd),
                "Notes": notes_json(notes, {one.name: one.unit for one in job.setup.shown}),
                "Voxels": {"InMask": voxels, "Fitted": fitted, "Flagged": flagged},
                "InputFlags": list(input_flags),
                "Sources": hashed.result(),
            },
        )
    return MapResult(
        model=job.setup.model.name, maps=maps, sd=sd,
        units={one.name: one.unit for one in job.setup.shown},
        flags=flags, account=account, voxels=voxels, fitted=fitted, counts=flagged, notes=notes,
        input_flags=input_flags,
    )  # fmt: skip


def _numbers(sd: np.ndarray | None) -> list[float | None] | None:
    """Deviations for JSON: null where a frame is not used; None where all count alike."""
    return None if sd is None else [float(one) if np.isfinite(one) else None for one in sd]


def _in_order(job: map_job.Job, pool: ThreadPoolExecutor, pace: _Pace) -> Iterator[map_job.Answer]:
    """Answers of the pieces in the image's order, with one more in hand than there are threads."""
    waiting: deque[Future[map_job.Answer]] = deque()
    left = iter(pace.cuts)
    try:
        for done in range(1, len(pace.cuts) + 1):
            while len(waiting) <= pace.workers and (cut := next(left, None)) is not None:
                waiting.append(pool.submit(map_job.solve, job, *cut))
            yield waiting.popleft().result()
            if pace.progress is not None:
                pace.progress(done, len(pace.cuts))
    finally:
        for future in waiting:
            future.cancel()
