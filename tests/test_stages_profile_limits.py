"""Limits of fitted parameters by profile likelihood, as a fit carries them."""

from __future__ import annotations

import numpy as np
import pytest

from igdd import catalog
from igdd.errors import StudyError
from igdd.kernels.population_inputs import parker
from igdd.kinetics import InputCurve, Protocol
from igdd.stages.fit import fit
from igdd.stages.fit_text import as_json
from igdd.types import Curves, Frames, Zero
from region_curves import curves_of

TIMES = np.array([300, 900, 1800, 3600, 7200, 14400, 28800], dtype=float)


@pytest.fixture(scope="module")
def curves() -> Curves:
    """Activity that falls with 2 h half-life, with 3 % noise, in two regions."""
    rate = np.log(2) / 7200
    noise = 1 + 0.03 * np.random.default_rng(3).standard_normal((2, TIMES.size))
    return Curves(
        values=100 * np.exp(-rate * TIMES) * noise, covariance=np.full((TIMES.size, 2, 2), np.nan),
        volume=np.ones(2), volume_sd=np.zeros(2), names=("a", "b"), kinds=("organ", "organ"),
        frames=Frames(start=TIMES - 30, duration=np.full(TIMES.size, 60.0),
                      zero=Zero(kind="administration")),
        quantity="activity_concentration", unit="Bq/mL", analyte="label",
    )  # fmt: skip


def test_limits_stand_about_the_values(curves):
    found = fit("mono_exponential", curves, profile=True)
    size = 2
    assert (found.limits[:, :size, 0] < found.values[:, :size]).all()
    assert (found.limits[:, :size, 1] > found.values[:, :size]).all()
    assert np.isnan(found.limits[:, size:]).all()
    # 5 degrees of freedom: near Student's interval, where the model is nearly straight
    half = 2.5706 * np.sqrt(np.einsum("npp->np", found.covariance))[:, :size]
    width = found.limits[:, :size, 1] - found.limits[:, :size, 0]
    np.testing.assert_allclose(width, 2 * half, rtol=0.05)


def test_a_held_parameter_has_no_limits(curves):
    words = {"dose": "10 kBq", "route": "bolus", "integration": "instant", "profile": True}
    found = fit("pk_one_compartment", curves, hold={"V": "100 mL"}, **words)
    assert np.isnan(found.limits[:, 1]).all()
    assert np.isfinite(found.limits[:, 0]).all()
    (entry, _) = as_json(found)
    assert {"low", "high"} <= entry["parameters"]["CL"].keys()
    assert "low" not in entry["parameters"]["V"]


def test_without_being_asked_there_are_none(curves):
    found = fit("mono_exponential", curves)
    assert found.limits is None
    assert "low" not in as_json(found)[0]["parameters"]["A1"]


def test_a_graphical_line_has_no_likelihood(curves):
    from igdd.kinetics import InputCurve

    plasma = InputCurve(time=np.array([0.0, 40000.0]), values=np.array([100.0, 1.0]),
                        compartment="plasma", substance="parent", unit="Bq/mL")  # fmt: skip
    with pytest.raises(StudyError, match="no likelihood"):
        fit("patlak", curves, {"plasma": plasma}, start=0.0, profile=True)


def fits_of(model: str, tissue: list[float], noise: float, step: float):
    """60 curves of one tissue over six minutes, noise as a share of the peak, and their fit."""
    time = np.arange(0.0, 360.0, step)
    knots = np.arange(0.0, 420.0)
    plasma = InputCurve(
        time=knots, values=np.where(knots >= 20, parker(knots - 20), 0.0), unit="mmol/L",
        compartment="plasma", substance="contrast",
    )  # fmt: skip
    frames = Frames(start=time - step / 2, duration=np.full(time.size, step), sampled=True,
                    zero=Zero(kind="administration"))  # fmt: skip
    seen = Protocol(frames=frames, inputs={"plasma": plasma}, integration="instant")
    curve = catalog.find("models", model).predict(np.array([[*tissue, 5.0]]), seen)
    deviations = noise * curve.max() * np.random.default_rng(5).standard_normal((60, time.size))
    return fit(model, curves_of(curve + deviations, frames), {"plasma": plasma}, free=("delay",))


def test_exchange_faster_than_the_flow_is_flagged_though_its_error_is_small():
    made = fits_of("tissue_homogeneity", [0.2 / 60, 1 / 60, 0.25, 0.06], noise=0.02, step=2.0)
    PS = made.values[:, made.parameters.index("PS")] * 60
    flagged = np.array([bool({"poorly_identified", "at_bound"} & {*own}) for own in made.flags])
    far = (PS > 3) | (PS < 1 / 3)
    assert far.sum() >= 10  # else this tests nothing
    assert flagged[far].all()


@pytest.mark.parametrize(
    ("model", "tissue", "noise"),
    [
        ("extended_tofts", [0.15 / 60, 0.3, 0.05], 0.05),
        ("two_compartment_exchange", [0.6 / 60, 0.1 / 60, 0.25, 0.06], 0.03),
    ],
)
def test_what_is_well_determined_is_not_flagged(model, tissue, noise):
    made = fits_of(model, tissue, noise, step=4.0)
    assert not any(made.flags[row] for row in range(60) if "residual_runs" not in made.flags[row])
