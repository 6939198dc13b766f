"""Exposure over sessions: areas against their closed form, uncertainty against a simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from igdd.errors import StudyError
from igdd.facts import Agent, Subject
from igdd.metrics.exposure import exposure, exposure_ratio
from igdd.results import COLUMNS, Course

HOURS = np.array([2.0, 24.0, 48.0, 96.0, 168.0])


def course(curves: dict, sd: float = 0.0, shared: float = 0.0, kinds: dict | None = None) -> Course:
    """A course whose regions hold the values of `curves` at HOURS; sd and shared are relative."""
    rows = [
        {
            "subject": "01", "session": f"{hour:g}h", "arm": "", "time": hour * 3600,
            "analyte": "label", "region": region, "metric": "percent_id_per_g", "value": value,
            "sd": np.hypot(sd, shared) * value, "sd_shared": shared * value, "low": np.nan,
            "high": np.nan, "unit": "%/g", "flags": "", "method": "",
        }
        for region, values in curves.items()
        for hour, value in zip(HOURS, values, strict=True)
    ]  # fmt: skip
    return Course(
        subject=Subject(id="01"),
        agent=Agent(nuclide="Zr-89"),
        kinds=kinds or {},
        measurements=pd.DataFrame(rows, columns=list(COLUMNS)),
    )


def found(values) -> dict:
    return {(one.region, one.metric): one for one in values}


def test_a_mono_exponential_blood_curve_has_its_closed_form():
    blood = 20 * np.exp(-0.02 * HOURS)
    rows = found(exposure(course({"blood": blood}, kinds={"blood": "blood"}), "percent_id_per_g"))
    assert rows["blood", "auc_inf_percent_id_per_g"].estimate.value == pytest.approx(1000.0)
    assert rows["blood", "residence_time_percent_id_per_g"].estimate.value == pytest.approx(50.0)
    half_life = rows["blood", "half_life_percent_id_per_g"].estimate.value
    assert half_life == pytest.approx(np.log(2) / 0.02)
    assert rows["blood", "auc_inf_percent_id_per_g"].unit == "%/g.h"


def test_an_organ_fills_from_zero():
    rows = found(exposure(course({"liver": np.full(5, 3.0)}), "percent_id_per_g"))
    # a triangle to 2 h, then a plateau of 3 to 168 h
    expected = 3.0 * 2 / 2 + 3.0 * 166
    assert rows["liver", "auc_last_percent_id_per_g"].estimate.value == pytest.approx(expected)
    assert "rising_tail" in rows["liver", "auc_inf_percent_id_per_g"].flags


def test_a_common_factor_moves_the_area_and_no_half_life():
    blood = 20 * np.exp(-0.02 * HOURS)
    made = course({"blood": blood}, shared=0.1, kinds={"blood": "blood"})
    rows = found(exposure(made, "percent_id_per_g"))
    area = rows["blood", "auc_inf_percent_id_per_g"].estimate
    assert area.sd / area.value == pytest.approx(0.1, rel=1e-6)
    assert area.sd_shared == pytest.approx(area.sd)
    half_life = rows["blood", "half_life_percent_id_per_g"].estimate
    assert np.isnan(half_life.sd) or half_life.sd < 1e-6 * half_life.value


def test_the_uncertainty_is_the_scatter_of_simulated_courses():
    truth = 20 * np.exp(-0.02 * HOURS)
    rng = np.random.default_rng(1)
    kinds = {"blood": "blood"}
    names = ("auc_last_percent_id_per_g", "auc_inf_percent_id_per_g")
    drawn = []
    for _ in range(300):
        noisy = truth * (1 + 0.03 * rng.standard_normal(5))
        rows = found(exposure(course({"blood": noisy}, kinds=kinds), "percent_id_per_g"))
        drawn.append([rows["blood", name].estimate.value for name in names])
    stated = found(exposure(course({"blood": truth}, sd=0.03, kinds=kinds), "percent_id_per_g"))
    for name, column in zip(names, np.array(drawn).T, strict=True):
        # 300 draws know a standard deviation to 4 %; three times that
        assert stated["blood", name].estimate.sd == pytest.approx(column.std(ddof=1), rel=0.13)


def test_a_ratio_of_areas_drops_what_both_share():
    blood = 20 * np.exp(-0.02 * HOURS)
    made = course({"blood": blood, "tumour": blood / 4}, shared=0.1)
    rows = found(exposure_ratio(made, "percent_id_per_g", "blood"))
    kp = rows["tumour", "auc_inf_percent_id_per_g_to_blood"].estimate
    assert kp.value == pytest.approx(0.25)
    assert kp.sd < 1e-6


def test_twice_the_uptake_is_twice_the_area():
    liver = np.array([1.0, 5.0, 4.0, 3.0, 1.0])
    one, two = (
        found(exposure(course({"liver": factor * liver}), "percent_id_per_g")) for factor in (1, 2)
    )
    name = ("liver", "auc_inf_percent_id_per_g")
    assert two[name].estimate.value == pytest.approx(2 * one[name].estimate.value)


def test_a_metric_that_no_session_gives_is_named():
    with pytest.raises(StudyError, match=r"no session gives .suvbw.*percent_id_per_g"):
        list(exposure(course({"liver": HOURS}), "suvbw"))


def test_an_unknown_reference_names_the_regions():
    with pytest.raises(StudyError, match=r"muscle.*liver"):
        list(exposure_ratio(course({"liver": HOURS}), "percent_id_per_g", "muscle"))


def test_two_values_at_one_time_are_refused():
    made = course({"liver": HOURS})
    twice = pd.concat([made.measurements, made.measurements.iloc[:1]], ignore_index=True)
    twice.loc[len(twice) - 1, "session"] = "again"
    doubled = Course(subject=made.subject, agent=made.agent, kinds={}, measurements=twice)
    with pytest.raises(StudyError, match="stands twice at 2 h"):
        list(exposure(doubled, "percent_id_per_g"))


def test_regions_are_chosen_by_kind_and_pattern():
    made = course({"liver": HOURS, "lesion_1": HOURS}, kinds={"lesion_1": "lesion"})
    for regions in ({"kind": "lesion", "name": None}, {"kind": None, "name": ("lesion_*",)}):
        rows = found(exposure(made, "percent_id_per_g", regions=regions))
        assert {region for region, _ in rows} == {"lesion_1"}
