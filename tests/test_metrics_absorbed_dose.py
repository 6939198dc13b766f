"""Absorbed dose over sessions: closed form, what cancels, what is refused, and a whole study."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from igdd.emissions import emissions
from igdd.errors import InputError, StudyError
from igdd.facts import Agent, Given, Subject
from igdd.line import run
from igdd.metrics.absorbed_dose import absorbed_dose
from igdd.results import COLUMNS, Course, FittedCurves, Value
from igdd.self_dose import self_dose
from igdd.uncertainty import Estimate

HOURS = np.array([4.0, 24.0, 72.0, 120.0])
LUTETIUM = np.log(2) / 159.528
GIVEN = 7.4e9


def course(curves, *, sd=0.0, shared=0.0, dose_cv=0.0, mass=150.0, volume_cv=None, **agent):
    """Regions hold `curves` of %ID corrected to administration at HOURS; sds are relative."""
    rows = []

    def row(region, hour, metric, value, unit, spread, common):
        rows.append(
            {
                "subject": "01", "session": f"{hour:g}h", "arm": "", "time": hour * 3600,
                "analyte": "label", "region": region, "metric": metric, "value": value,
                "sd": spread * value, "sd_shared": common * value, "low": np.nan, "high": np.nan,
                "unit": unit, "flags": "", "method": "",
            }
        )  # fmt: skip

    both = np.hypot(shared, dose_cv)
    for region, values in curves.items():
        for hour, value in zip(HOURS, values, strict=True):
            row(region, hour, "percent_id", value, "%", np.hypot(sd, both), both)
            if mass is not None:
                row(region, hour, "percent_id_per_g", value / mass, "%/g", 0.1, both)
            if volume_cv is not None:
                row(region, hour, "volume", mass / 1.05, "mL", volume_cv, 0.0)
    activity = Estimate(value=GIVEN, sd=dose_cv * GIVEN)
    return Course(
        subject=Subject(id="01", given=(Given(at=None, activity=activity),)),
        agent=Agent(**{"nuclide": "Lu-177", "carrier": "antibody", **agent}),
        kinds={name: "blood" if name == "blood" else "organ" for name in curves},
        measurements=pd.DataFrame(rows, columns=list(COLUMNS)),
    )


def rows(found):
    return {(one.region, one.metric): one for one in found if isinstance(one, Value)}


def test_a_mono_exponential_has_its_closed_form():
    found = rows(absorbed_dose(course({"kidney": 3 * np.exp(-0.012 * HOURS)})))
    rate = LUTETIUM + 0.012
    coefficient = 0.03 / rate
    assert_allclose(
        found["kidney", "time_integrated_activity_coefficient"].estimate.value,
        coefficient,
        rtol=1e-5,
    )
    decays = found["kidney", "time_integrated_activity"]
    assert decays.unit == "MBq.h"
    assert_allclose(decays.estimate.value, coefficient * GIVEN / 1e6, rtol=1e-5)
    own = self_dose(emissions("Lu-177"), 150.0)
    expected = coefficient * GIVEN * 3600 * (own.s_charged + own.s_photon)
    assert_allclose(found["kidney", "absorbed_dose"].estimate.value, expected, rtol=1e-5)
    assert_allclose(found["kidney", "tail_half_life"].estimate.value, np.log(2) / rate, rtol=1e-4)
    tail = found["kidney", "decays_after_last_session"].estimate.value
    assert_allclose(tail, 100 * np.exp(-rate * 120), rtol=1e-3)


def test_what_was_given_cancels_in_the_decays_and_the_calibration_does_not():
    curve = 3 * np.exp(-0.012 * HOURS)
    made = course({"kidney": curve}, sd=0.02, shared=0.04, dose_cv=0.3, volume_cv=0.1)
    found = rows(absorbed_dose(made))["kidney", "time_integrated_activity"]
    # exact but for the rounding of two squares
    assert_allclose(found.estimate.sd_shared / found.estimate.value, 0.04, rtol=1e-6)
    dose = rows(absorbed_dose(made))["kidney", "absorbed_dose"].estimate
    assert_allclose(dose.sd_shared / dose.value, 0.04, rtol=1e-6)
    own = np.sqrt((found.estimate.sd / found.estimate.value) ** 2 + 0.1**2)
    assert_allclose(dose.sd / dose.value, own, rtol=0.01)  # self-dose falls as m^-0.99


def test_effect_of_dose_rate():
    made = course({"kidney": 3 * np.exp(-0.012 * HOURS)})
    found = rows(absorbed_dose(made, alpha_beta=2.6, repair=2.8 * 3600))
    dose = found["kidney", "absorbed_dose"].estimate.value
    half_life = found["kidney", "tail_half_life"].estimate.value
    expected = dose * (1 + 2.8 / (2.8 + half_life) * dose / 2.6)
    assert_allclose(found["kidney", "biologically_effective_dose"].estimate.value, expected)
    with pytest.raises(StudyError, match="together"):
        list(absorbed_dose(made, alpha_beta=2.6))


def test_a_region_without_a_mass_has_decays_and_no_dose():
    found = rows(absorbed_dose(course({"kidney": 3 * np.exp(-0.012 * HOURS)}, mass=None)))
    assert ("kidney", "time_integrated_activity") in found
    assert ("kidney", "absorbed_dose") not in found


def test_a_density_of_its_own_replaces_the_studys():
    made = course({"kidney": 3 * np.exp(-0.012 * HOURS)}, volume_cv=0.05)
    one = rows(absorbed_dose(made))["kidney", "absorbed_dose"]
    other = rows(absorbed_dose(made, density=1.05 * 2))["kidney", "absorbed_dose"]
    assert 1.9 < one.estimate.value / other.estimate.value < 2.0  # photons see a larger mass
    assert "mass_assumed_density" in other.flags


def test_marrow_from_blood_depends_on_the_carrier():
    curves = {"blood": 0.05 * np.exp(-0.02 * HOURS)}
    found = rows(absorbed_dose(course(curves, mass=1.0), hematocrit=0.4))
    decays = found["blood", "time_integrated_activity"].estimate.value * 3.6e9
    expected = 0.19 / 0.6 * decays * emissions("Lu-177").local_dose_constant
    marrow = found["red_marrow", "absorbed_dose"]
    assert_allclose(marrow.estimate.value, expected)
    assert "marrow_from_blood" in marrow.flags
    for carrier in ("liposome", "nanocolloid", "micelle", ""):
        with pytest.raises(InputError, match="marrow"):
            list(absorbed_dose(course(curves, mass=1.0, carrier=carrier), hematocrit=0.4))
    # an image of marrow is the answer for those
    both = {**curves, "red_marrow": 2 * np.exp(-0.01 * HOURS)}
    imaged = rows(absorbed_dose(course(both, carrier="liposome"), hematocrit=0.4))
    assert "marrow_from_blood" not in imaged["red_marrow", "absorbed_dose"].flags


def test_progeny_must_be_spoken_for():
    made = course({"kidney": np.exp(-0.001 * HOURS)}, nuclide="Ac-225")
    with pytest.raises(InputError, match="daughters"):
        list(absorbed_dose(made))
    found = rows(absorbed_dose(made, daughters="equilibrium"))
    assert found["kidney", "absorbed_dose"].estimate.value > 0


def test_unknown_doses_and_nuclides_are_refused():
    made = course({"kidney": np.exp(-0.01 * HOURS)})
    for change in (Subject(id="01"), Subject(id="01", given=(Given(at=None),))):
        other = Course(subject=change, agent=made.agent, kinds={}, measurements=made.measurements)
        with pytest.raises(StudyError, match="net activity"):
            list(absorbed_dose(other))
    with pytest.raises(StudyError, match="nuclide"):
        list(absorbed_dose(course({"kidney": np.ones(4)}, nuclide="")))


def test_late_uptake_is_flagged_as_a_bound():
    found = rows(absorbed_dose(course({"tumour": [1.0, 3.0, 9.0, 16.0]})))
    flags = found["tumour", "absorbed_dose"].flags
    assert {"effective_rate_at_physical", "extrapolated_over_fifth"} <= {*flags}


def test_curves_come_with_their_model():
    made = course({"a": 3 * np.exp(-0.012 * HOURS), "b": 2 * np.exp(-0.03 * HOURS)})
    shown = [one for one in absorbed_dose(made) if isinstance(one, FittedCurves)]
    assert len(shown) == 1
    assert shown[0].regions == ("a", "b")
    assert_allclose(shown[0].predicted, shown[0].values, rtol=1e-4)


STUDY = """\
schema = 1
title = "Kidneys and a tumour"
[agent]
carrier = "peptide"
label = { nuclide = "Lu-177", on = "carrier" }
[[subject]]
id = "p1"
given = [{ at = 2026-05-01T10:00:00, activity = "7.4 GBq" }]
[[measure]]
metric = "absorbed_dose"
method = "trapezoid"
alpha_beta = "2.6 Gy"
repair = "2.8 h"
"""


def test_a_study_gives_doses_under_the_course(tmp_path):
    text = STUDY
    for hour in HOURS:
        name = f"{hour:g}h"
        share = 3 * np.exp(-0.012 * hour)
        (tmp_path / f"{name}.csv").write_text(
            "subject,region,time_h,percent_id,percent_id_per_g\n"
            f"p1,kidney,{hour},{share},{share / 150}\n"
        )
        text += (
            f'[[scan]]\nsubject = "p1"\nsession = "{name}"\nmodality = "uptake_table"\n'
            f'path = "{name}.csv"\n'
        )
    path = tmp_path / "study.toml"
    path.write_text(text)
    table = run(path, tmp_path / "results", workers=1).measurements
    mine = table[table["session"] == "course"].set_index("metric")
    assert set(mine.index) == {
        "time_integrated_activity", "time_integrated_activity_coefficient",
        "decays_after_last_session", "tail_half_life", "absorbed_dose",
        "biologically_effective_dose",
    }  # fmt: skip
    assert mine.loc["absorbed_dose", "unit"] == "Gy"
    assert mine.loc["absorbed_dose", "value"] > 0
    assert (mine["time"] == 120 * 3600).all()
