"""Extravascular: a region less its blood, against the two equations and a simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from igdd.errors import StudyError
from igdd.metrics.extravascular import extravascular

FRACTION = 0.2


def of(session, region="liver", **options):
    options = {"blood": "blood", "fraction": FRACTION, **options}
    found = extravascular(session, **options)
    return {one.metric: one for one in found if one.region == region}


def means(session, name="liver"):
    curves = session.recovered
    return float(curves.values[curves.names.index(name), 0])


def test_both_concentrations_follow_their_equations(phantom_session):
    liver, blood = means(phantom_session), means(phantom_session, "blood")
    rows = of(phantom_session)
    net = liver - FRACTION * blood
    assert rows["concentration_without_blood"].estimate.value == pytest.approx(net)
    assert rows["concentration_extravascular"].estimate.value == pytest.approx(net / 0.8)
    assert rows["blood_share"].estimate.value == pytest.approx(100 * FRACTION * blood / liver)


def test_without_blood_volume_nothing_is_taken_off(phantom_session):
    rows = of(phantom_session, fraction=0.0)
    assert rows["concentration_extravascular"].estimate.value == means(phantom_session)


def test_percent_id_is_the_amount_over_the_dose(phantom_session):
    rows = of(phantom_session)
    curves = phantom_session.recovered
    volume = float(curves.volume[curves.names.index("liver")])
    given = phantom_session.net_activity().value
    expected = 100 * volume * rows["concentration_without_blood"].estimate.value / given
    assert rows["percent_id_without_blood"].estimate.value == pytest.approx(expected)
    per_ml = 100 * rows["concentration_extravascular"].estimate.value / given
    assert rows["percent_id_per_ml_extravascular"].estimate.value == pytest.approx(per_ml)


def test_the_uncertainty_is_the_scatter_of_draws(phantom_session):
    curves = phantom_session.recovered
    pair = [curves.names.index(name) for name in ("liver", "blood")]
    rng = np.random.default_rng(3)
    mean = curves.values[pair, 0]
    covariance = curves.mean_covariance(0)[np.ix_(pair, pair)]
    drawn = rng.multivariate_normal(mean, covariance, 20_000)
    share = FRACTION + 0.03 * rng.standard_normal(20_000)
    outside = (drawn[:, 0] - share * drawn[:, 1]) / (1 - share)
    estimate = of(phantom_session, fraction_sd=0.03)["concentration_extravascular"].estimate
    # first order; the share varies by 15 % of itself
    assert estimate.sd_random == pytest.approx(outside.std(), rel=0.02)


def test_blood_that_holds_more_than_the_region_is_flagged(phantom_session):
    curves = phantom_session.recovered
    values = curves.values.copy()
    values[curves.names.index("liver")] = 0.1 * means(phantom_session, "blood")
    rows = of(replace(phantom_session, recovered=replace(curves, values=values)))
    assert rows["concentration_without_blood"].estimate.value < 0
    assert "blood_exceeds_region" in rows["concentration_without_blood"].flags


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"blood": "aorta"}, "'aorta' is not drawn"),
        ({"fraction": 1.0}, "fraction is 1"),
        ({"fraction": float("nan")}, "fraction is nan"),
        ({"fraction_sd": -1.0}, "fraction_sd is -1"),
    ],
)
def test_wrong_options_are_named(phantom_session, options, said):
    with pytest.raises(StudyError, match=said):
        of(phantom_session, **options)


def test_regions_are_chosen_by_kind(phantom_session):
    found = extravascular(
        phantom_session, blood="blood", fraction=0.1, regions={"kind": "lesion", "name": None}
    )
    assert {one.region for one in found} == {"lesion_1"}
