from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from igdd.simulate import kinetics, phantom
from igdd.simulate.kinetics import HOUR, RATES, Kinetics
from igdd.simulate.phantom import TISSUES

PATIENT = phantom.draw_anatomy(np.random.default_rng(2), 12.0, 45.0)
WEIGHT = 70000.0
VOLUMES = {
    **dict.fromkeys(TISSUES, 150.0), "liver": 1500.0, "lungs": 2400.0, "blood": 250.0,
    "rest": 38000.0, **{lesion.name: 5.0 for lesion in PATIENT.lesions},
}  # fmt: skip


def patient(effect: float, seed: int = 1) -> Kinetics:
    return kinetics.draw_kinetics(np.random.default_rng(seed), PATIENT, effect, 0.45, 0.3)


@settings(max_examples=30, deadline=None)
@given(hours=st.floats(0, 500), seed=st.integers(0, 1000), effect=st.floats(0.2, 20))
def test_all_that_was_given_is_somewhere_at_any_time(hours, seed, effect):
    held = kinetics.amounts(patient(effect, seed), VOLUMES, WEIGHT, hours * HOUR)
    assert sum(held.values()) == pytest.approx(100, abs=1e-9)  # double precision
    assert min(held.values()) > -1e-9


def test_at_the_start_all_is_in_blood():
    held = kinetics.amounts(patient(1.0), VOLUMES, WEIGHT, 0.0)
    assert held["blood"] == pytest.approx(100 * 250 / (0.065 * WEIGHT))
    assert held["urine"] == held["faeces"] == held["lesion_1"] == 0


def test_the_arm_multiplies_lesion_uptake_and_nothing_in_blood():
    plain, targeted = (
        kinetics.amounts(patient(effect), VOLUMES, WEIGHT, 24 * HOUR) for effect in (1.0, 1.6)
    )
    for lesion in PATIENT.lesions:
        assert targeted[lesion.name] / plain[lesion.name] == pytest.approx(1.6, rel=1e-9)
    assert targeted["blood"] == pytest.approx(plain["blood"], rel=1e-12)


def test_typical_blood_half_life_and_lesion_peak_are_those_of_the_docstring():
    typical = Kinetics(rates=RATES, influx={"lesion_1": kinetics.LESION_INFLUX})
    volumes = {name: v for name, v in VOLUMES.items() if not name.startswith("lesion")}
    hours = np.arange(0.0, 120.0, 2.0)
    held = [
        kinetics.amounts(typical, {**volumes, "lesion_1": 5.0}, WEIGHT, h * HOUR) for h in hours
    ]
    blood = np.array([one["blood"] for one in held])
    assert np.log(2) / -np.polyfit(hours, np.log(blood), 1)[0] == pytest.approx(57.8, abs=0.1)
    assert hours[np.argmax([one["lesion_1"] for one in held])] == pytest.approx(48, abs=4)


def test_lesion_uptake_scatters_between_patients_and_lesions_as_declared():
    influx = [
        np.log([k.influx[lesion.name] for lesion in PATIENT.lesions])
        for k in (patient(1.0, seed) for seed in range(400))
    ]
    within = np.mean([np.var(one, ddof=1) for one in influx])
    between = np.var([np.mean(one) for one in influx]) - within / len(PATIENT.lesions)
    # 400 patients: a standard deviation is known to 3.5 %; three times that allowed.
    assert len(PATIENT.lesions) > 1
    assert np.sqrt(within) == pytest.approx(0.3, rel=0.1)
    assert np.sqrt(between) == pytest.approx(0.45, rel=0.1)
