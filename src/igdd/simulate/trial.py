"""The virtual trial: two arms of patients, imaged several times, written with its truth.

Nothing here is shared with the code that estimates: the geometry is analytic and finer than the
image, the point spread differs from the declared one, regions are drawn a little wrong, and every
scan is calibrated a little wrong. All of it follows from the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from igdd.errors import InputError
from igdd.io.bounded import writable
from igdd.simulate import document, kinetics, phantom, scanner, truth, uptake, write
from igdd.simulate.kinetics import HOUR
from igdd.types import Frames, Grid, Zero

Progress = Callable[[str, int, int], None]
ARMS = ("plain", "targeted")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Everything that defines the trial [s, mm, Bq]; equal trials give equal bytes.

    effect            lesion uptake, targeted over plain
    between_patients  standard deviation of the logarithm of lesion uptake; so between_lesions
    extent, fine      field of view, and voxel of the truth and of the drawn regions
    factor            image voxel over fine voxel
    psf, psf_error    declared FWHM, and how far (relative) the true one may lie from it
    smoothing         FWHM of the filter that is part of the point spread and correlates noise
    sensitivity       counts per decay; background: see `scanner.Scan`
    growth_sd         standard deviation of how far outside its true border a region is drawn
    """

    seed: int = 1
    patients_per_arm: int = 6
    sessions: tuple[float, ...] = (4 * HOUR, 24 * HOUR, 72 * HOUR)
    duration: float = 1200.0
    effect: float = 1.6
    between_patients: float = 0.45
    between_lesions: float = 0.3
    diameters: tuple[float, float] = (12.0, 45.0)
    extent: tuple[float, float, float] = (400.0, 256.0, 896.0)
    fine: float = 2.0
    factor: int = 2
    psf: float = 6.0
    psf_error: float = 0.1
    smoothing: float = 4.0
    sensitivity: float = 1.2e-4
    background: float = 0.2
    calibration_sd: float = 0.03
    growth_sd: float = 0.6
    collected_cv: float = 0.05
    dicom: bool = True  # the first patient as DICOM, not as PET-BIDS

    def __post_init__(self) -> None:
        if self.patients_per_arm < 1 or not self.sessions or min(self.sessions) <= 0:
            raise InputError(
                f"{self.patients_per_arm} patients per arm at {self.sessions} s after "
                "administration; expected at least one of each, and positive times"
            )
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; expected a whole number from 0")

    @property
    def primary_session(self) -> str:
        """The session in which the arms are compared: the middle one, named before any is seen."""
        return session_name(sorted(self.sessions)[len(self.sessions) // 2])

    @property
    def shift(self) -> float:
        """Longest random shift of a drawn region in mm: half an image voxel."""
        return self.fine * self.factor / 2

    @property
    def psf_sd(self) -> float:
        """Standard deviation in mm of the true point spread: uniform up to `psf_error`."""
        return float(self.psf * self.psf_error / np.sqrt(3))

    @property
    def boundary_sd(self) -> float:
        """Standard deviation in mm of a drawn border: its growth, and the shift along its normal.

        A shift of uniform length up to s has mean square s^2 / 3, a third of it along the normal.
        """
        return float(np.hypot(self.growth_sd, self.shift / 3))

    def grid(self, factors: tuple[int, int, int] = (1, 1, 1)) -> Grid:
        """The lattice of voxels `factors` times the fine ones, centred on the world's origin."""
        count = [round(length / (self.fine * self.factor)) for length in self.extent]
        i, j, k = (n * self.factor // by for n, by in zip(count, factors, strict=True))
        spacing = self.fine * np.array(factors, dtype=float)
        affine = np.diag([*spacing, 1.0])
        affine[:3, 3] = -(np.array([i, j, k]) - 1) * spacing / 2
        return Grid(shape=(i, j, k), affine=affine)

    @property
    def image_grid(self) -> Grid:
        """The lattice of the image."""
        return self.grid((self.factor, self.factor, self.factor))


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A patient as simulated: what is known, and what is true."""

    record: write.Record
    net: float
    anatomy: phantom.Anatomy
    kinetics: kinetics.Kinetics


@dataclass(frozen=True, kw_only=True)
class Written:
    """What the files of one patient say, for the study and the truth."""

    record: write.Record
    study: str
    rows: tuple[Mapping[str, Any], ...]


def session_name(nominal: float) -> str:
    """Name of the session at a nominal time in s, as in "24h"."""
    return f"{nominal / HOUR:g}h"


def write_trial(
    folder: str | Path,
    seed: int = 1,
    *,
    patients_per_arm: int = 6,
    sessions: tuple[float, ...] = (4 * HOUR, 24 * HOUR, 72 * HOUR),
    progress: Progress | None = None,
    workers: int = 2,
) -> Path:
    """Simulate the trial into a folder and return the path of its study file.

    sessions are in s after administration; progress is called with (what, done, total).
    """
    trial = Trial(seed=seed, patients_per_arm=patients_per_arm, sessions=sessions)
    return simulate(Path(folder), trial, progress=progress, workers=workers)


def simulate(
    folder: Path, trial: Trial, *, progress: Progress | None = None, workers: int = 2
) -> Path:
    """Write study.toml, images, regions, tables and truth of a trial; the same for any `workers`.

    Threads suffice: blurring, counting and packing leave the interpreter free.
    """
    import nibabel  # noqa: F401  # imported once, before the threads
    import pydicom  # noqa: F401

    writable(folder)
    total = trial.patients_per_arm * len(ARMS)
    if progress is not None:
        progress("simulate", 0, total)
    with ThreadPoolExecutor(max_workers=max(workers, 1)) as pool:
        tasks = [pool.submit(write_patient, folder, trial, n) for n in range(total)]
        try:
            for done, task in enumerate(as_completed(tasks), start=1):
                task.result()
                if progress is not None:
                    progress("simulate", done, total)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return _write_tables(folder, trial, [task.result() for task in tasks])


def _write_tables(folder: Path, trial: Trial, patients: list[Written]) -> Path:
    rows = [row for patient in patients for row in patient.rows]
    truth.write_truth(folder / "truth.csv", rows)
    truth.write_true_findings(folder / "truth_findings.csv", rows, ARMS, trial.effect)
    write.write_dataset(folder, [patient.record for patient in patients])
    heading = document.heading(
        psf=trial.psf,
        psf_sd=trial.psf_sd,
        smoothing=trial.smoothing,
        boundary_sd=trial.boundary_sd,
        calibration_sd=trial.calibration_sd,
    )
    study = folder / "study.toml"
    text = (
        heading
        + "".join(patient.study for patient in patients)
        + document.closing(trial.primary_session)
    )
    study.write_text(text, encoding="utf-8")
    return study


def draw_patient(trial: Trial, number: int) -> Patient:
    """Patient `number` (from 0), the arms alternating: who it is, what is given, how it behaves."""
    rng = np.random.default_rng([trial.seed, number, 0])
    arm = ARMS[number % len(ARMS)]
    anatomy = phantom.draw_anatomy(rng, *trial.diameters)
    sex = "FM"[int(rng.integers(2))]
    height = float(np.round(rng.normal(178 if sex == "M" else 165, 6)))
    weight = float(np.round(24.0 * (height / 100) ** 2 * np.exp(rng.normal(0, 0.1)), 1))
    activity = float(np.round(rng.uniform(35.0, 39.0), 2))
    activity_sd = float(np.round(0.01 * activity, 2))
    residual = float(np.round(rng.uniform(0.2, 0.8), 2))
    record = write.Record(
        id=f"{number + 1:02d}",
        arm=arm,
        sex=sex,
        weight=weight * 1000,
        height=height * 10,
        at=datetime(2026, 3, 2, 9, 0)
        + timedelta(days=7 * number, minutes=int(rng.integers(0, 120))),
        activity=activity * 1e6,
        activity_sd=activity_sd * 1e6,
        residual=residual * 1e6,
        drug_dose=float(np.round(rng.uniform(1.9, 2.3), 2)) * 1e-3,
    )
    return Patient(
        record=record,
        net=record.net + float(rng.normal(0, activity_sd)) * 1e6,
        anatomy=anatomy,
        kinetics=kinetics.draw_kinetics(
            rng,
            anatomy,
            trial.effect if arm == ARMS[1] else 1.0,
            trial.between_patients,
            trial.between_lesions,
        ),
    )


def write_patient(folder: Path, trial: Trial, number: int) -> Written:
    """Simulate and write every scan of one patient."""
    patient = draw_patient(trial, number)
    labels = phantom.paint(patient.anatomy, trial.grid())
    volumes = uptake.true_volumes(patient.anatomy, labels, trial.grid())
    scans, rows, excreted = [], [], []
    before = dict.fromkeys(kinetics.EXCRETA, 0.0)
    for index, nominal in enumerate(trial.sessions):
        rng = np.random.default_rng([trial.seed, number, 1 + index])
        # A hundredth of an hour, so that the study's text says it exactly.
        jitter = rng.uniform(-1, 1) * min(0.03 * nominal, HOUR)
        start = float(np.round((nominal + jitter) / 36) * 36)
        held = kinetics.amounts(patient.kinetics, volumes, patient.record.weight, start)
        session = session_name(nominal)
        middle = start + trial.duration / 2
        rows += truth.truth_rows(patient.record, session, middle, held, volumes, patient.net)
        for place in kinetics.EXCRETA:
            portion = (held[place] - before[place]) / 100 * patient.net
            excreted.append(_collect(place, start, portion, trial.collected_cv, rng))
            before[place] = held[place]
        share = {name: held[name] / 100 / volume for name, volume in volumes.items()}
        field = uptake.spread(patient.anatomy, labels, share, trial.grid(), (trial.seed, number))
        field *= np.float32(patient.net * scanner.decay(start))
        scans.append(
            _scan(folder, trial, patient, session=session, start=start, field=field, rng=rng)
        )
    return Written(
        record=patient.record,
        study=document.subject_text(patient.record, scans, excreted),
        rows=tuple(rows),
    )


def _collect(
    place: str, until: float, activity: float, cv: float, rng: np.random.Generator
) -> write.Excreted:
    """What a counter says of a collection: relative error `cv`, and 1 kBq of its own noise."""
    sd = float(np.hypot(cv * activity, 1e3))
    measured = activity + float(rng.normal(0, sd))
    return write.Excreted(
        place=place, until=until, activity=float(np.round(measured, -1)), sd=float(np.round(sd, -1))
    )


def _scan(
    folder: Path,
    trial: Trial,
    patient: Patient,
    *,
    session: str,
    start: float,
    field: np.ndarray,
    rng: np.random.Generator,
) -> write.Acquired:
    """Image one patient once, let a reader draw the regions, and write both."""
    scan = scanner.Scan(
        psf=trial.psf * float(rng.uniform(1 - trial.psf_error, 1 + trial.psf_error)),
        smoothing=trial.smoothing,
        sensitivity=trial.sensitivity,
        background=trial.background,
        calibration=float(rng.normal(1, trial.calibration_sd)),
        start=start,
        duration=trial.duration,
    )
    dicom = trial.dicom and patient.record.id == "01"
    # Contours are drawn on the image's slices, label maps on finer voxels.
    canvas = trial.grid((1, 1, trial.factor)) if dicom else trial.grid()
    drawn = phantom.draw_regions(patient.anatomy, canvas, rng, trial.shift, trial.growth_sd)
    image = scanner.acquire(field, trial.fine, trial.factor, scan, rng)
    timing = Frames(
        start=np.array([start]),
        duration=np.array([trial.duration]),
        zero=Zero(kind="administration", clock=patient.record.at),
    )
    grid, names = trial.image_grid, patient.anatomy.names
    known = (folder, patient.record, session)
    if dicom:
        path = write.write_dicom(*known, image, grid, timing)
        regions = write.write_structures(folder, path, drawn, canvas, names)
    else:
        path = write.write_bids(*known, image, grid, timing)
        regions = write.write_labels(*known, drawn, canvas, names)
    return write.Acquired(session=session, start=start, path=path, regions=regions)
