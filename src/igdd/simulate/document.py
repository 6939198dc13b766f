"""The study file of the virtual trial: what a real user would know and declare, and no truth."""

from __future__ import annotations

from collections.abc import Sequence

from igdd.simulate.kinetics import HOUR
from igdd.simulate.phantom import LESION_DENSITY, TISSUES
from igdd.simulate.write import Acquired, Excreted, Record

HEAD = """# A virtual trial: every patient and image is simulated. Run it with: igdd run study.toml
schema = 1
title = "89Zr-liposome delivery, plain against targeted"

[agent]
carrier = "PEG-liposome"
drug = "doxorubicin"
label = {{ nuclide = "Zr-89", on = "carrier" }}

[scanner]
cross_calibration = {{ factor = 1.0, sd = {calibration_sd:g} }}
psf = "{psf:.1f} mm"                # full width at half maximum, as measured once in a phantom
psf_sd = "{psf_sd:.2f} mm"
noise = {{ region = "liver", correlation = "{smoothing:.1f} mm" }}
boundary_sd = "{boundary_sd:.1f} mm"         # of where a border is drawn
"""

SUBJECT = """
[[subject]]
id = "{id}"
arm = "{arm}"
weight = "{weight:g} kg"
height = "{height:g} cm"
sex = "{sex}"
species = "human"

[[subject.given]]
at = {at}
activity = "{activity:g} MBq"
activity_sd = "{activity_sd:g} MBq"
residual = "{residual:g} MBq"
drug_dose = "{drug_dose:g} mg"
"""

COLLECTED = """
[[subject.collected]]
place = "{place}"
until = "{until:g} h"
activity = "{activity:g} MBq"
sd = "{sd:g} MBq"
"""

SCAN = """
[[scan]]
subject = "{id}"
session = "{session}"
modality = "pet"
path = "{path}"
regions = "{regions}"
declared = {{ branching_applied = true }}
"""

REGION = """
[[region]]
name = "{name}"
kind = "{kind}"
density = "{density:.2f} g/mL"
"""

TAIL = """
[[measure]]
metric = "uptake"

[[measure]]
metric = "ledger"

[[measure]]
metric = "exposure"
of = "percent_id_per_g"

[[compare]]
method = "groups"
on = "percent_id_per_g"
between = ["plain", "targeted"]
session = "{session}"
regions = { kind = "lesion" }

[[compare]]
method = "groups"
on = "percent_id_per_g"
between = ["plain", "targeted"]
session = "{session}"
regions = { kind = "organ" }
"""


def heading(
    *, psf: float, psf_sd: float, smoothing: float, boundary_sd: float, calibration_sd: float
) -> str:
    """What the study says of agent and scanner [mm; calibration relative]."""
    return HEAD.format(
        psf=psf,
        psf_sd=psf_sd,
        smoothing=smoothing,
        boundary_sd=boundary_sd,
        calibration_sd=calibration_sd,
    )


def subject_text(record: Record, scans: Sequence[Acquired], excreted: Sequence[Excreted]) -> str:
    """A patient, what was given and collected, and the scans."""
    text = SUBJECT.format(
        id=record.id,
        arm=record.arm,
        sex=record.sex,
        weight=record.weight / 1000,
        height=record.height / 10,
        at=record.at.isoformat(),
        activity=record.activity / 1e6,
        activity_sd=record.activity_sd / 1e6,
        residual=record.residual / 1e6,
        drug_dose=record.drug_dose * 1e3,
    )
    for one in excreted:
        text += COLLECTED.format(
            place=one.place,
            until=one.until / HOUR,
            activity=one.activity / 1e6,
            sd=one.sd / 1e6,
        )
    for scan in scans:
        text += SCAN.format(
            id=record.id, session=scan.session, path=scan.path, regions=scan.regions
        )
    return text


def closing(session: str) -> str:
    """Kinds and densities of the regions, and what is asked: the arms compared in one session."""
    regions = [
        REGION.format(name=name, kind=kind, density=density)
        for name, (kind, density) in TISSUES.items()
    ]
    lesions = REGION.format(name="lesion_*", kind="lesion", density=LESION_DENSITY)
    return "".join((*regions, lesions, TAIL.replace("{session}", session)))
