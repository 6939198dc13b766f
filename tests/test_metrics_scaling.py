"""Scaling of a subject's uptake: drug in its place, and a lesion in another body."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from igdd.errors import StudyError
from igdd.facts import Agent, Given, Subject
from igdd.metrics.scaling import scaling
from igdd.results import COLUMNS, Course


def course(
    label_on: str = "carrier", dose: float | None = 2e-4, weight: float | None = 25.0,
    values: tuple = (4.0, 5.5), sd: float = 0.1,
) -> Course:  # fmt: skip
    rows = [
        {
            "subject": "01", "session": f"{hour}h", "arm": "", "time": hour * 3600.0,
            "analyte": "carrier", "region": region, "metric": "percent_id_per_g", "value": value,
            "sd": abs(value) * sd, "sd_shared": 0.0, "low": np.nan, "high": np.nan, "unit": "%/g",
            "flags": "", "method": "",
        }
        for region in ("lesion_1", "liver")
        for hour, value in zip((4, 24), values, strict=True)
    ]  # fmt: skip
    given = (Given(at=datetime(2026, 5, 1), drug_dose=dose),)
    return Course(
        subject=Subject(id="01", species="mouse", weight=weight, given=given),
        agent=Agent(carrier="liposome", label_on=label_on),
        kinds={"lesion_1": "lesion", "liver": "organ"},
        measurements=pd.DataFrame(rows, columns=list(COLUMNS)),
    )


def found(values) -> dict:
    return {(one.region, one.metric, one.time / 3600): one for one in values}


def test_the_dose_equivalent_is_flagged_unless_the_label_is_on_the_drug():
    rows = found(scaling(course()))
    value = rows["liver", "dose_equivalent", 24.0]
    assert_allclose(value.estimate.value, 11.0)  # 5.5 % of 200 ug per g
    assert_allclose(value.estimate.sd, 1.1)
    assert value.flags == ("dose_equivalent",)
    assert found(scaling(course("drug")))["liver", "dose_equivalent", 24.0].flags == ()


def test_lesions_are_scaled_with_a_band():
    rows = found(scaling(course(), to_weight=70_000.0))
    value = rows["lesion_1", "scaled_percent_id_per_kg", 24.0]
    assert_allclose(value.estimate.value, 5500 * 2800**-0.74)
    low, high = value.interval
    assert low < 5.3 < 33.0 < high  # patients with that agent
    suv = rows["lesion_1", "scaled_suvbw", 24.0]
    assert_allclose(suv.estimate.value, value.estimate.value * 0.7)
    assert ("liver", "scaled_suvbw", 24.0) not in rows


def test_an_uptake_at_or_below_zero_has_no_logarithm():
    rows = found(scaling(course(values=(-0.1, 2.0)), to_weight=70_000.0))
    value = rows["lesion_1", "scaled_suvbw", 4.0]
    assert np.isnan(value.estimate.value)
    assert "estimate_not_positive" in value.flags


def test_an_unknown_sd_is_said():
    rows = found(scaling(course(sd=np.nan), to_weight=70_000.0))
    assert "value_sd_unknown" in rows["lesion_1", "scaled_suvbw", 24.0].flags


@pytest.mark.parametrize(
    ("made", "options", "message"),
    [
        ({"dose": None}, {}, "neither a dose"),
        ({"weight": None}, {"to_weight": 7e4}, r"subject\.weight"),
        ({}, {"to_weight": 0.0}, "to_weight is 0 g"),
        ({}, {"to_weight": 7e4, "exponent": float("nan")}, "exponent is nan"),
        ({}, {"to_weight": 7e4, "exponent": 500.0}, "expected -2 to 2"),
        ({}, {"to_weight": 7e4, "exponent_sd": -1.0}, "exponent_sd is -1"),
    ],
)
def test_what_cannot_be_scaled_is_an_error_of_the_study(made, options, message):
    with pytest.raises(StudyError, match=message):
        list(scaling(course(**made), **options))


def test_a_dose_that_one_administration_does_not_state_is_none():
    one = course()
    subject = one.subject
    given = (*subject.given, Given(at=None))
    from dataclasses import replace

    unknown = replace(one, subject=replace(subject, given=given))
    with pytest.raises(StudyError, match="neither a dose"):
        list(scaling(unknown))
