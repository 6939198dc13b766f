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


def test_what_divides_by_a_slope_has_limits_above_zero():
    # It barely falls: a half-life of some 540 h from 168 h, with 10 % noise on each value.
    made = course({"liver": np.array([4.0, 10.0, 9.9, 9.0, 8.4])}, sd=0.1)
    values = list(exposure(made, "percent_id_per_g"))
    rows = {one.metric.removesuffix("_percent_id_per_g"): one.row("01", "c", "") for one in values}
    for name in ("half_life", "auc_inf", "residence_time"):
        one = rows[name]
        assert one["value"] - 1.96 * one["sd"] < 0 < one["low"] < one["value"] < one["high"]
        assert one["high"] == pytest.approx(
            one["value"] * np.exp(1.959963984540054 * one["sd"] / one["value"])
        )
    beyond = rows["auc_beyond"]
    assert 0 < beyond["low"] < beyond["value"] < beyond["high"] < 100
    last = rows["auc_last"]  # a sum of values: as they are
    assert last["high"] - last["value"] == pytest.approx(last["value"] - last["low"])


def test_limits_of_a_ratio_are_those_of_the_logarithm():
    blood, tumour = 20 * np.exp(-0.02 * HOURS), 5 * np.exp(-0.015 * HOURS)
    made = course({"blood": blood, "tumour": tumour}, sd=0.05, kinds={"blood": "blood"})
    for value in exposure_ratio(made, "percent_id_per_g", "blood"):
        one = value.row("01", "c", "")
        half = 1.959963984540054 * one["sd"] / one["value"]
        assert one["low"] == pytest.approx(one["value"] * np.exp(-half))
        assert one["high"] == pytest.approx(one["value"] * np.exp(half))


def test_a_reference_that_is_barely_known_has_fiellers_limits_or_none():
    blood, tumour = 20 * np.exp(-0.02 * HOURS), 5 * np.exp(-0.015 * HOURS)
    for noise, bounded in ((0.4, True), (1.5, False)):
        made = course({"blood": blood, "tumour": tumour}, sd=noise, kinds={"blood": "blood"})
        areas = {
            one.region: one.estimate
            for one in exposure(made, "percent_id_per_g")
            if one.metric.startswith("auc_last")
        }
        value = next(iter(exposure_ratio(made, "percent_id_per_g", "blood")))
        one = value.row("01", "c", "")
        assert ("interval_unbounded" in value.flags) is not bounded
        if not bounded:
            assert np.isnan(one["low"])
            assert np.isnan(one["high"])
            continue
        # Fieller: at each limit r, tumour - r blood is just 1.96 of its own sd away from zero.
        for limit in (one["low"], one["high"]):
            away = areas["tumour"].value - limit * areas["blood"].value
            spread = np.hypot(areas["tumour"].sd, limit * areas["blood"].sd)
            assert abs(away) == pytest.approx(1.959963984540054 * spread, rel=1e-6)


def test_a_time_of_peak_has_no_slope():
    # Two points are the highest: a step of either moves the time of the peak by 22 h.
    made = course({"liver": np.array([5.0, 5.0, 4.0, 3.0, 2.0])}, sd=0.05)
    rows = found(exposure(made, "percent_id_per_g"))
    assert np.isnan(rows["liver", "time_of_peak_percent_id_per_g"].estimate.sd)
    assert rows["liver", "time_of_peak_percent_id_per_g"].estimate.value == 2.0


def test_half_lives_of_values_of_any_size_have_the_same_uncertainty():
    shape = np.array([4.0, 10.0, 7.0, 4.0, 2.0])
    plain = found(exposure(course({"liver": shape}, sd=0.05), "percent_id_per_g"))
    small = found(exposure(course({"liver": shape * 1e-300}, sd=0.05), "percent_id_per_g"))
    for name in ("half_life", "residence_time", "auc_beyond"):
        key = ("liver", f"{name}_percent_id_per_g")
        # the steps of 1e-5 leave rounding of 1e-16 / 1e-5
        assert small[key].estimate.sd == pytest.approx(plain[key].estimate.sd, rel=1e-6)


def test_a_step_that_tips_the_choice_of_the_terminal_window_is_no_slope():
    # Windows of three and four points fit alike: the search finds where the choice tips.
    def window(last):
        values = np.array([10.0, 6.0, 4.0, last, 0.9])
        one = found(
            exposure(
                course({"blood": values}, sd=0.05, kinds={"blood": "blood"}), "percent_id_per_g"
            )
        )["blood", "half_life_percent_id_per_g"]
        return one.estimate

    lows, highs = 1.6, 3.2
    grid = np.linspace(lows, highs, 60)
    lives = np.array([window(one).value for one in grid])
    jump = int(np.argmax(np.abs(np.diff(lives))))
    lower, upper = grid[jump], grid[jump + 1]
    assert abs(lives[jump + 1] - lives[jump]) > 1.0  # another window, not a slope
    for _ in range(40):
        middle = (lower + upper) / 2
        same = abs(window(middle).value - lives[jump]) < abs(window(middle).value - lives[jump + 1])
        lower, upper = (middle, upper) if same else (lower, middle)
    # On the edge itself it is as uncertain as beside it, not a hundred times more.
    assert window((lower + upper) / 2).sd < 3 * max(
        window(grid[jump]).sd, window(grid[jump + 1]).sd
    )


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
