"""Heterogeneity: unevenness that is known comes out, noise does not count as any."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.errors import InputError, UnitsError
from lesions import ball, rows_of, session_of
from test_metrics_coverage import drawn

LESION = ball(20.0)


def gradient():
    """From 1 to 3 along the first axis, by the voxel."""
    return 1 + 2 * np.indices(LESION.shape)[0] / (LESION.shape[0] - 1)


def test_a_variation_of_030_under_noise_of_030():
    rng = np.random.default_rng(0)
    truth = 4 * np.exp(0.2936 * rng.standard_normal(LESION.shape)) / 1.044
    bare = session_of(truth, {"lesion": LESION}, sd=1.2, correlation=3.0)
    held = session_of(truth + drawn(bare, 1), {"lesion": LESION}, sd=1.2, correlation=3.0)
    found = rows_of(held, "heterogeneity")
    assert found.loc["cv", "value"] == pytest.approx(0.30, abs=0.03)  # asked of it
    assert found.loc["cv_uncorrected", "value"] > 0.39
    assert found.loc["cv", "low"] < 0.30 < found.loc["cv", "high"]


def test_an_even_lesion_has_an_interval_down_to_zero():
    bare = session_of(np.full(LESION.shape, 4.0), {"lesion": LESION}, sd=1.2)
    held = session_of(4.0 + drawn(bare, 2), {"lesion": LESION}, sd=1.2)
    found = rows_of(held, "heterogeneity")
    assert found.loc["cv", "low"] == 0.0
    assert found.loc["cv", "high"] > 0
    assert found.loc["gini", "low"] == 0.0


def test_a_gradient_without_noise():
    values = gradient()
    found = rows_of(
        session_of(values, {"lesion": LESION}, psf=6.0),
        "heterogeneity",
        bin_width="0.25 kBq/mL",
        steepness="1 mL/kBq",
    )
    inside = values[LESION]
    assert found.loc["d50", "value"] == pytest.approx(np.median(inside))
    assert found.loc["d10", "value"] > found.loc["d50", "value"] > found.loc["d90", "value"]
    assert found.loc["cv", "value"] == pytest.approx(inside.std() / inside.mean())
    uniform = -np.log(np.mean(np.exp(-inside)))
    assert found.loc["equivalent_uniform_exposure", "value"] == pytest.approx(uniform)
    share = np.unique(np.floor(inside / 0.25), return_counts=True)[1] / inside.size
    assert found.loc["entropy", "value"] == pytest.approx(-np.sum(share * np.log2(share)))
    # The interior of a symmetric gradient has its middle, and less of a spread.
    assert found.loc["d50_interior", "value"] == pytest.approx(2.0)
    assert found.loc["cv_interior", "value"] < found.loc["cv", "value"]


def test_units_of_options_are_converted_and_refused():
    session = session_of(gradient(), {"lesion": LESION})
    pair = [
        rows_of(session, "heterogeneity", bin_width=text).loc["entropy", "value"]
        for text in ("0.25 kBq/mL", "250 Bq/mL")
    ]
    assert pair[0] == pair[1]
    with pytest.raises(UnitsError, match=r"measure\.bin_width"):
        rows_of(session, "heterogeneity", bin_width="1 mg")
    with pytest.raises(InputError, match="choose wider bins"):
        rows_of(session, "heterogeneity", bin_width="1e-12 kBq/mL")


def test_the_hot_tail_over_a_reference():
    organ = np.zeros(LESION.shape, dtype=bool)
    organ[0, 0] = True
    values = gradient()
    found = rows_of(
        session_of(values, {"lesion": LESION, "spleen": organ}), "heterogeneity", reference="spleen"
    )
    tail = found.loc["hot_tail_mean", "value"]
    assert tail == pytest.approx(np.sort(values[LESION])[-LESION.sum() // 10 :].mean(), rel=1e-3)
    assert found.loc["hot_tail_ratio", "value"] == pytest.approx(tail / values[organ].mean())
    assert set(found["region"]) == {"lesion"}


def test_a_lesion_of_thirty_thousand_voxels_takes_no_minutes():
    import time

    lesion = ball(38.0, (40, 40, 40))
    values = np.random.default_rng(3).normal(5, 1, lesion.shape)
    held = session_of(values, {"lesion": lesion}, sd=1.0, correlation=4.0)
    assert lesion.sum() > 28_000
    started = time.process_time()
    rows_of(held, "heterogeneity")
    assert time.process_time() - started < 10  # a guard against minutes, not a benchmark
