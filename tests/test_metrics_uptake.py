"""Uptake: one concentration in every scale of the field, with its uncertainty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from igdd.errors import StudyError
from igdd.facts import Agent, Given, Subject
from igdd.metrics.uptake import METRICS, uptake
from igdd.results import Value
from igdd.types import Curves, Decay, Frames, Modes, Session, Zero
from igdd.uncertainty import Estimate

DOSE = 36.6e6


def curves(scale: float = 1.0, **change) -> Curves:
    values = scale * np.array([[4000.0], [20000.0], [100.0]])
    facts = {
        "values": values,
        "covariance": np.diag([20.0, 300.0, 1.0])[np.newaxis] ** 2 * scale**2,
        "volume": np.array([1500.0, 10.0, 70000.0]),
        "volume_sd": np.array([30.0, 1.0, 30.0]),
        "names": ("liver", "lesion_1", "remainder"),
        "kinds": ("organ", "lesion", "remainder"),
        "frames": Frames(
            start=np.array([86400.0]), duration=np.array([600.0]), zero=Zero(kind="administration")
        ),
        "quantity": "activity_concentration",
        "unit": "Bq/mL",
        "analyte": "carrier",
        "decay": Decay(nuclide="Zr-89", half_life=282276.0, corrected_to=0.0),
        "scale_cv": 0.03,
    }
    return Curves(**(facts | change))


SUBJECT = Subject(
    id="01",
    weight=75000.0,
    height=1850.0,
    sex="M",
    given=(Given(at=None, activity=Estimate(value=DOSE, sd=0.01 * DOSE), drug_dose=2.1e-3),),
)


def session(**change) -> Session:
    facts = {
        "subject": SUBJECT,
        "name": "24h",
        "agent": Agent(label_on="drug"),
        "curves": curves(),
        "densities": {"": 1.0, "liver": 1.06},
    }
    return Session(**(facts | change))


def table(one: Session) -> dict[tuple[str, str], Value]:
    found = list(uptake(one))
    rows = {(value.region, value.metric): value for value in found}
    assert len(rows) == len(found)
    return rows


def test_every_scale_is_what_its_definition_says():
    rows = table(session())
    expected = {
        "concentration": 4000.0,
        "volume": 1500.0,
        "percent_id": 100 * 4000 * 1500 / DOSE,
        "percent_id_per_ml": 100 * 4000 / DOSE,
        "percent_id_per_g": 100 * 4000 / DOSE / 1.06,
        "percent_id_per_kg": 100 * 4000 / DOSE / 1.06 * 1000,
        "suvbw": 4000 * 75000 / DOSE,
        # Lean masses and surface of 75 kg, 1.85 m, M: published with DICOM calculators.
        "suvlbm_morgan120": 4000 * 62777.57 / DOSE,
        "suvlbm_janma": 4000 * 60915.34 / DOSE,
        "suvbsa": 4000 * 19813.758 / DOSE,
        "suvibw": 4000 * (48.0 + 1.06 * 33) * 1000 / DOSE,
        "drug_concentration": 4000 / DOSE * 2.1e-3 / 1.06 * 1e6,
    }
    for metric, value in expected.items():
        # The reference body sizes are given to 7 digits.
        assert rows["liver", metric].estimate.value == pytest.approx(value, rel=1e-6)
    assert rows["liver", "drug_concentration"].analyte == "drug"
    assert rows["liver", "percent_id"].time == 86700.0


def test_every_metric_and_unit_is_declared():
    gives = dict(METRICS[0].gives)
    both = session(recovered=curves(1.2))
    for value in uptake(both):
        assert gives[value.metric] == value.unit


def test_calibration_and_dose_are_shared_and_noise_is_not():
    found = table(session())["lesion_1", "percent_id_per_ml"].estimate
    assert found.sd_shared / found.value == pytest.approx(np.hypot(0.03, 0.01))
    assert found.sd_random / found.value == pytest.approx(300 / 20000)
    concentration = table(session())["lesion_1", "concentration"].estimate
    assert concentration.sd_shared / concentration.value == pytest.approx(0.03)


def test_a_border_error_that_leaves_the_amount_alone_is_not_in_percent_id():
    still = curves(covariance=np.zeros((1, 3, 3)))
    # Volume 10 % up and mean 10 % down: the amount stays.
    modes = Modes(values=np.array([[[0.0], [-2000.0], [0.0]]]), volume=np.array([[0.0, 1.0, 0.0]]))
    rows = table(session(curves=replace(still, modes=modes)))
    assert rows["lesion_1", "percent_id"].estimate.sd_random == pytest.approx(0, abs=1e-6)
    found = rows["lesion_1", "percent_id_per_ml"].estimate
    assert found.sd_random / found.value == pytest.approx(0.1)


def test_the_remainder_has_no_concentration():
    assert not [value for value in uptake(session()) if value.region == "remainder"]


def test_the_best_known_value_has_the_plain_name():
    rows = table(session(recovered=curves(1.25)))
    assert rows["liver", "concentration"].estimate.value == 5000.0
    assert rows["liver", "concentration_uncorrected"].estimate.value == 4000.0
    assert ("liver", "volume_uncorrected") not in rows
    assert ("liver", "percent_id_uncorrected") not in table(session())


def test_unknown_noise_leaves_the_known_parts():
    unknown = curves(covariance=np.full((1, 3, 3), np.nan), flags=(("noise_unknown",),) * 3)
    found = table(session(curves=unknown))["liver", "percent_id_per_ml"]
    assert found.estimate.sd == pytest.approx(found.estimate.value * np.hypot(0.03, 0.01))
    assert "noise_unknown" in found.flags


def test_a_region_without_a_value_stays_without():
    empty = curves(values=np.array([[np.nan], [1.0], [1.0]]))
    rows = table(session(curves=empty))
    for metric in ("concentration", "percent_id", "suvbw"):
        assert np.isnan(rows["liver", metric].estimate.value)
        assert np.isnan(rows["liver", metric].estimate.sd)


def test_mass_by_the_default_density_is_flagged():
    rows = table(session())
    assert "mass_assumed_density" in rows["lesion_1", "percent_id_per_g"].flags
    assert "mass_assumed_density" not in rows["liver", "percent_id_per_g"].flags
    assert "mass_assumed_density" not in rows["lesion_1", "percent_id_per_ml"].flags


def metrics(one: Session) -> set[str]:
    return {value.metric for value in uptake(one)}


def test_what_is_not_known_is_absent():
    assert metrics(session(subject=Subject(id="01"))) == {"concentration", "volume"}
    light = metrics(session(subject=replace(SUBJECT, weight=None)))
    assert "percent_id_per_kg" in light
    assert not {name for name in light if name.startswith("suv")}
    assert "suvbsa" not in metrics(session(subject=replace(SUBJECT, height=None)))
    sexless = metrics(session(subject=replace(SUBJECT, sex=None)))
    assert {"suvbw", "suvbsa"} <= sexless
    assert "suvibw" not in sexless
    assert "drug_concentration" not in metrics(session(agent=Agent(label_on="carrier")))


def test_formulas_that_do_not_hold_for_a_mouse_are_absent():
    mouse = replace(SUBJECT, weight=25.0, height=90.0)
    found = metrics(session(subject=mouse))
    assert "suvbw" in found
    assert "suvibw" not in found  # an ideal mass below zero


def test_other_sex_is_flagged_where_it_matters():
    rows = table(session(subject=replace(SUBJECT, sex="O")))
    assert "sex_other" in rows["liver", "suvlbm_janma"].flags
    assert "sex_other" not in rows["liver", "suvbw"].flags


def test_a_dose_of_unknown_uncertainty_is_flagged():
    given = (Given(at=None, activity=Estimate(value=DOSE)),)
    found = table(session(subject=replace(SUBJECT, given=given)))["liver", "percent_id"]
    assert "dose_sd_unknown" in found.flags
    assert np.isfinite(found.estimate.sd)


def test_a_dose_without_its_time_is_an_error():
    frames = replace(curves().frames, zero=Zero(kind="scan_start"))
    with pytest.raises(StudyError, match=r"subject\.given\.at"):
        list(uptake(session(curves=curves(frames=frames))))


@pytest.mark.parametrize("corrected_to", [None, 3600.0])
def test_a_dose_at_another_instant_than_the_image_is_an_error(corrected_to):
    decay = Decay(nuclide="Zr-89", half_life=282276.0, corrected_to=corrected_to)
    with pytest.raises(StudyError, match="decay"):
        list(uptake(session(curves=curves(decay=decay))))


def test_two_administrations_have_no_percent_of_one():
    twice = replace(SUBJECT, given=SUBJECT.given * 2)
    assert metrics(session(subject=twice)) == {"concentration", "volume"}


@given(factor=st.floats(1e-3, 1e3))
def test_a_tenfold_activity_in_image_and_dose_changes_no_percentage(factor):
    given = (Given(at=None, activity=Estimate(value=DOSE * factor, sd=0.01 * DOSE * factor)),)
    one = table(session())
    other = table(session(curves=curves(factor), subject=replace(SUBJECT, given=given)))
    for name in ("percent_id", "percent_id_per_g", "suvbw"):
        a, b = one["lesion_1", name].estimate, other["lesion_1", name].estimate
        assert b.value == pytest.approx(a.value)
        assert b.sd == pytest.approx(a.sd)
