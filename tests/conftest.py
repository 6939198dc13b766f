"""What every test can ask for: the public reference data, and a study small enough to read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

# One thread for linear algebra, as the line's workers have: matrices are small, and on a busy
# machine threads that wait for one another take ten times as long. Heard only before numpy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

DEFAULT_REFERENCE = Path(__file__).resolve().parents[1] / "../shared/reference"
REQUIRED = os.environ.get("IGDD_REQUIRE_REFERENCE") == "1"


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Path]:
    """Path below the reference data; skips when it is not there, fails where it is required."""
    root = Path(os.environ.get("IGDD_REFERENCE", DEFAULT_REFERENCE)).resolve()

    def find(relative: str) -> Path:
        path = root / relative
        if path.exists():
            return path
        message = f"{path} is not there; set IGDD_REFERENCE to the public data sets"
        if REQUIRED:
            pytest.fail(message)
        pytest.skip(message)

    return find


@pytest.fixture(scope="session")
def phantom_session():
    """A warm sphere, a hot lesion and a blood pool in a cold box, imaged and recovered."""
    return _phantom(("blood", "lesion_1", "liver"))


@pytest.fixture(scope="session")
def phantom_course(phantom_session):
    """The phantom's uptake as it fades with 20 h half-life over four sessions."""
    from dataclasses import replace

    import pandas as pd

    from igdd import catalog
    from igdd.results import Course
    from igdd.stages.measure import measure

    first = measure(phantom_session, [(catalog.find("metrics", "uptake"), {})])
    fading = first["metric"] != "volume"
    parts = []
    for hours in (24, 48, 72, 120):
        part = first.assign(session=f"{hours}h", time=hours * 3600.0)
        columns = ["value", "sd", "sd_shared", "low", "high"]
        part.loc[fading, columns] *= 0.5 ** ((hours - 24) / 20)
        parts.append(part)
    curves = phantom_session.curves
    return Course(
        # Some metrics of a subject are for a species, and say so.
        subject=replace(phantom_session.subject, species="mouse"),
        agent=phantom_session.agent,
        kinds=dict(zip(curves.names, curves.kinds, strict=True)),
        measurements=pd.concat(parts, ignore_index=True),
    )


@pytest.fixture(scope="session")
def turned_session():
    """The same phantom with its regions in another order."""
    return _phantom(("liver", "lesion_1", "blood"))


def _phantom(order: tuple[str, ...]):
    from dataclasses import replace
    from datetime import datetime

    import numpy as np
    from scipy import sparse
    from scipy.ndimage import gaussian_filter

    from igdd.facts import Agent, Collected, Given, Scanner, Subject
    from igdd.stages.sample import noise_variance, sample
    from igdd.types import Beside, Decay, Frames, Grid, Image, Regions, Session, Zero
    from igdd.uncertainty import Estimate

    grid = Grid(shape=(36, 32, 30), affine=np.diag([4.0, 4.0, 4.0, 1.0]))
    place = np.indices(grid.shape).astype(float)
    balls = {
        "liver": ((10, 16, 15), 7.0, 4000.0, "organ"),
        "lesion_1": ((25, 16, 15), 3.5, 9000.0, "lesion"),
        "blood": ((25, 8, 15), 4.0, 2500.0, "blood"),
    }
    masks = {
        name: ((place - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(axis=0) <= radius**2
        for name, (centre, radius, _, _) in balls.items()
    }
    truth = np.full(grid.shape, 100.0)
    for name, (_, _, value, _) in balls.items():
        truth[masks[name]] = value
    rng = np.random.default_rng(5)
    fwhm = 6.0 / 2.354820045
    blurred = gaussian_filter(truth, fwhm / 4.0)
    noise = gaussian_filter(rng.standard_normal(grid.shape), 4.0 / 2.354820045 / 4.0)
    values = blurred + noise / noise.std() * np.sqrt(blurred) * 3.0
    administered = datetime(2026, 5, 1, 12, 0)
    image = Image(
        values=values[..., None].astype(np.float32),
        grid=grid,
        quantity="activity_concentration",
        unit="Bq/mL",
        analyte="carrier",
        frames=Frames(
            start=np.array([86400.0]),
            duration=np.array([1200.0]),
            zero=Zero(kind="administration", clock=administered),
        ),
        decay=Decay(nuclide="Zr-89", half_life=282276.0, corrected_to=0.0),
        scale_cv=0.03,
        source="A phantom.",
    )
    regions = Regions(
        weights=sparse.csr_matrix(np.stack([masks[name].ravel() for name in order]).astype(float)),
        names=order,
        kinds=tuple(balls[name][3] for name in order),
        grid=grid,
    )
    scanner = Scanner(
        cross_calibration=Estimate(value=1.0, sd=0.03),
        psf=6.0,
        psf_sd=0.3,
        noise_region="liver",
        noise_correlation=4.0,
        boundary_sd=0.5,
    )
    image = noise_variance(image, regions, scanner)
    curves, recovered = sample(image, regions, scanner)
    total = float(truth.sum() * grid.voxel_volume)
    return Session(
        subject=Subject(
            id="01",
            arm="plain",
            weight=70_000.0,
            height=1750.0,
            sex="F",
            given=(Given(at=administered, activity=Estimate(value=total / 0.9), drug_dose=2e-3),),
        ),
        name="24h",
        agent=Agent(carrier="liposome", drug="doxorubicin", nuclide="Zr-89", label_on="drug"),
        curves=curves,
        recovered=recovered,
        image=image,
        regions=regions,
        # What options of free text name in the contract tests.
        others={
            "a": Beside(image=replace(image, values=image.values**2, analyte="label"), psf=6.0)
        },
        densities={"": 1.0},
        collected=(
            Collected(
                place="urine", time=80000.0, activity=Estimate(value=total / 9.0, sd=total / 90.0)
            ),
        ),
        psf=scanner.psf,
        psf_sd=scanner.psf_sd,
    )


@pytest.fixture(scope="session")
def small_study(tmp_path_factory) -> Path:
    """A virtual trial of two patients an arm and one visit, in a small body."""
    from igdd.simulate.trial import HOUR, Trial, simulate

    trial = Trial(seed=3, patients_per_arm=2, sessions=(24 * HOUR,), fine=4.0, factor=2)
    return simulate(tmp_path_factory.mktemp("trial"), trial, workers=2)


@pytest.fixture(scope="session")
def protocol_for():
    """Function: a declared model -> Protocol with frames and every input that it needs."""
    return _protocol


def _protocol(model, **changes):
    """Minutes after a contrast agent, an hour and a half after a tracer, two days in blood."""
    import numpy as np

    from igdd.kinetics import Protocol
    from igdd.types import Frames, Zero

    length = np.repeat([10.0, 30.0, 60.0, 120.0, 300.0], [6, 4, 3, 2, 16])
    if model.family == "contrast":
        length = np.full(120, 3.0)
    elif model.family in ("clearance", "pharmacokinetic"):
        length = np.repeat([300.0, 3600.0, 14400.0], [6, 6, 10])
    start = np.concatenate([[0.0], np.cumsum(length)[:-1]])
    frames = Frames(start=start, duration=length, zero=Zero(kind="administration"))
    held = {one.name: one.held for one in model.parameters if one.held is not None}
    options = {one.name: one.default for one in model.options}
    options |= required_options(model)
    known = {"frames": frames, "inputs": _inputs(model, frames), "held": held, "options": options}
    return Protocol(**(known | changes))


def required_options(model):
    """A value in SI for every option that has no default: the first choice, or 1."""
    from igdd.declare import REQUIRED

    return {
        one.name: one.choices[0] if one.choices else 1.0
        for one in model.options
        if one.default == REQUIRED
    }


def _inputs(model, frames):
    """A bolus at 20 s; the portal vein sees it later and broader, a reference tissue by frames."""
    import numpy as np

    from igdd.kernels.convolve import convolve
    from igdd.kinetics import InputCurve

    knots = np.concatenate([np.arange(0, 120, 2.0), np.arange(120, 6000, 20.0)])
    late = np.maximum(knots - 20.0, 0.0)
    plasma = 60 * late / 8 * np.exp(-late / 8) + 8 * np.exp(-late / 400) + 4 * np.exp(-late / 5000)
    plasma[late == 0] = 0.0
    window = frames.start, frames.end, "exact"
    portal = convolve(knots, plasma, (knots, knots, "instant"), np.array([1 / 12]), 6.0)[0] / 12
    tissue = 0.0015 * convolve(knots, plasma, window, np.array([0.001]))[0]
    fluids = {
        "plasma": ("plasma", knots, plasma),
        "blood": ("blood", knots, 0.6 * plasma),
        "portal": ("plasma", knots, portal),
        "reference": ("tissue", np.append(0.0, frames.middle), np.append(0.0, tissue)),
    }
    return {
        role: InputCurve(
            time=time,
            values=values,
            compartment=compartment,
            substance="contrast" if model.family == "contrast" else "parent",
            unit="kBq/mL",
        )
        for role, (compartment, time, values) in fluids.items()
        if role in model.needs
    }
