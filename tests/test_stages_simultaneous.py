"""The scale of an input from all regions: with a blood sample, or with a known share of blood."""

from __future__ import annotations

import numpy as np
import pytest

from igdd import catalog
from igdd.errors import FitError, InputError
from igdd.kinetics import InputCurve, Protocol
from igdd.stages.simultaneous import simultaneous_input
from igdd.types import Curves, Frames
from region_curves import curves_of
from tissue_curves import MINUTE, bolus, frames

SCALE = 1.7
OF: Frames = frames()
PLASMA = bolus()
# K1, k2, Vb, delay of four regions in SI.
REGIONS = np.array([(0.1, 0.2), (0.3, 0.3), (0.5, 0.25), (0.4, 0.1)]) / MINUTE


def inputs(scale: float) -> dict[str, InputCurve]:
    return {
        role: InputCurve(
            time=PLASMA.time,
            values=scale * PLASMA.values,
            compartment=role,
            substance="parent" if role == "plasma" else "total",
            unit="kBq/mL",
        )
        for role in ("plasma", "blood")
    }


def curves(Vb: float, noise: float, seed: int = 1) -> Curves:
    model = catalog.find("models", "one_tissue")
    parameters = np.column_stack([REGIONS, np.full(4, Vb), np.zeros(4)])
    clean = model.predict(parameters, Protocol(frames=OF, inputs=inputs(SCALE)))
    rng = np.random.default_rng(seed)
    return curves_of(clean + noise * rng.standard_normal(clean.shape), OF, unit="kBq/mL")


def sample(sd: float = 0.05):
    time = 40 * MINUTE
    return np.array([time]), SCALE * np.interp([time], PLASMA.time, PLASMA.values), np.array([sd])


def test_a_blood_sample_gives_the_scale_and_the_kinetics():
    made = simultaneous_input("one_tissue", curves(0.05, 0.02), inputs(1.0), sample())
    assert made.scale.value == pytest.approx(SCALE, abs=3 * made.scale.sd)
    assert made.scale.sd < 0.05
    K1 = made.fit.values[:, made.fit.parameters.index("K1")]
    np.testing.assert_allclose(K1, REGIONS[:, 0] * MINUTE / MINUTE, rtol=0.1)


def test_a_known_share_of_blood_gives_the_scale_without_a_sample():
    made = simultaneous_input("one_tissue", curves(0.2, 0.02), inputs(1.0), hold={"Vb": 0.2})
    assert made.scale.value == pytest.approx(SCALE, abs=3 * made.scale.sd)
    assert made.scale.sd < 0.1


def test_tissue_alone_leaves_the_scale_open_and_says_so():
    made = simultaneous_input("one_tissue", curves(0.0, 0.02), inputs(1.0), hold={"Vb": 0.0})
    assert "poorly_identified" in made.flags


def test_the_inputs_come_back_at_that_scale():
    made = simultaneous_input("one_tissue", curves(0.05, 0.02), inputs(1.0), sample())
    given = inputs(1.0)
    for role, one in made.inputs.items():
        np.testing.assert_allclose(one.values, made.scale.value * given[role].values)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (([60.0], [1.0], [0.1, 0.2]), "1 times, 1 values and 2"),
        (([1e6], [1.0], [0.1]), "blood sample at 1e"),
        (([60.0], [np.nan], [0.1]), "not finite"),
        (([60.0], [1.0], [0.0]), "not above 0"),
    ],
)
def test_wrong_samples_are_refused(samples, said):
    with pytest.raises(InputError, match=said):
        simultaneous_input("one_tissue", curves(0.05, 0.02), inputs(1.0), samples)


def test_an_input_without_plasma_is_refused():
    with pytest.raises((InputError, FitError), match="plasma"):
        simultaneous_input("one_tissue", curves(0.05, 0.02), {}, sample())
