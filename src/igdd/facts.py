"""The facts that a study states: what was given to whom, on which scanner, and what left the body.

Internal units: s, mm, g, Bq. None where a fact is not known; nothing is assumed in its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from igdd import decay
from igdd.uncertainty import Estimate


@dataclass(frozen=True, kw_only=True)
class Agent:
    """What was given: the carrier, the drug it carries, and the label and what the label is on.

    analyte  what a scan of the label tells of: "label", or what the label is on where a study has
             labels on both the carrier and the drug and says which one the scan sees
    """

    carrier: str = ""
    drug: str = ""
    nuclide: str = ""
    label_on: str = "label"
    half_life: float = np.nan
    analyte: str = "label"

    @property
    def label_half_life(self) -> float:
        """Half-life of the label in s: as the study states it, else the nuclide's; NaN if none."""
        if np.isfinite(self.half_life) or not self.nuclide:
            return self.half_life
        return decay.nuclide(self.nuclide).half_life


@dataclass(frozen=True, kw_only=True)
class Given:
    """One administration: the clock time, the net activity in Bq at that time, the drug in g."""

    at: datetime | None
    activity: Estimate | None = None
    drug_dose: float | None = None
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A patient or animal: weight in g, height in mm, sex M, F or O; None where not known."""

    id: str
    arm: str = ""
    weight: float | None = None
    height: float | None = None
    sex: str | None = None
    species: str = ""
    given: tuple[Given, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """What is declared of the scanner: factor to the dose calibrator, point spread, noise.

    psf, psf_sd        full width at half maximum in mm and its sd; None if not known
    noise_region       a uniform region whose voxel scatter gives the noise; None if not declared
    noise_correlation  FWHM in mm of the noise's correlation kernel
    boundary_sd        standard deviation in mm of where a region's border is drawn
    """

    cross_calibration: Estimate = Estimate(value=1.0, sd=0.0)
    psf: float | None = None
    psf_sd: float = 0.0
    noise_region: str | None = None
    noise_correlation: float | None = None
    boundary_sd: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Declared:
    """Facts of a scan that the study states because its files do not, or states wrongly.

    unit                   UCUM unit of the stored values: "kBq/mL" of PET, "mmol/L" of contrast
    corrected_to           the instant to which the stored values are corrected for decay
    start, duration        clock time of the scan's start and its length in s
    attenuation_corrected  None means: the header must say
    branching_applied      whether the positron branching ratio was applied; None: not said
    repetition_time        TR of a spoiled gradient echo in s, and its `flip_angle` in degrees
    interval               time in s from volume to volume of a dynamic series
    t1                     T1 in s before contrast, of all voxels or of each (i, j, k)
    b1                     share of the flip angle that was reached, of each voxel (i, j, k)
    relaxivity             r1 of the agent in mL/(mol.s)
    baseline               frames before the agent came: "5" the first five, "2-5", or until "30 s"
    """

    unit: str | None = None
    corrected_to: Literal["administration", "scan_start", "none"] | None = None
    start: datetime | None = None
    duration: float | None = None
    attenuation_corrected: bool | None = None
    branching_applied: bool | None = None
    repetition_time: float | None = None
    flip_angle: float | None = None
    interval: float | None = None
    t1: float | np.ndarray | None = None
    b1: np.ndarray | None = None
    relaxivity: float | None = None
    baseline: str | None = None


@dataclass(frozen=True, kw_only=True)
class Collected:
    """Something that left the body, or was counted outside: its place, when it was complete
    (s after administration) and its activity in Bq, corrected to administration."""

    place: str
    time: float
    activity: Estimate
