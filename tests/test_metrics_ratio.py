"""Ratios: what both sides share drops out, what they do not is propagated."""

import numpy as np
import pytest

from igdd.errors import StudyError
from igdd.metrics.ratio import ratio_to
from igdd.types import Modes
from test_metrics_uptake import curves, session


def only(one, metric: str = "ratio_to_liver"):
    found = [value for value in ratio_to(one, "liver") if value.metric == metric]
    assert len(found) == 1  # neither the reference itself nor the remainder
    return found[0]


def test_a_ratio_has_no_calibration_error():
    found = only(session())
    assert found.region == "lesion_1"
    assert found.estimate.value == pytest.approx(5.0)
    assert found.estimate.sd_shared == 0
    relative = np.hypot(20 / 4000, 300 / 20000)
    assert found.estimate.sd == pytest.approx(5.0 * relative)


def test_an_error_common_to_both_drops_out():
    up = Modes(values=np.array([[[400.0], [2000.0], [0.0]]]), volume=np.zeros((1, 3)))
    still = curves(covariance=np.zeros((1, 3, 3)), modes=up)
    assert only(session(curves=still)).estimate.sd == pytest.approx(0, abs=1e-12)


def test_an_exchange_between_both_counts_twice():
    over = Modes(values=np.array([[[-400.0], [2000.0], [0.0]]]), volume=np.zeros((1, 3)))
    still = curves(covariance=np.zeros((1, 3, 3)), modes=over)
    assert only(session(curves=still)).estimate.sd == pytest.approx(5.0 * 0.2)


def test_corrected_and_uncorrected_stand_side_by_side():
    both = session(recovered=curves(values=np.array([[5000.0], [40000.0], [1.0]])))
    assert only(both).estimate.value == pytest.approx(8.0)
    assert only(both, "ratio_to_liver_uncorrected").estimate.value == pytest.approx(5.0)


@pytest.mark.parametrize("below", [0.0, np.nan])
def test_a_reference_without_signal_gives_nan(below):
    found = only(session(curves=curves(values=np.array([[below], [20000.0], [1.0]]))))
    assert np.isnan(found.estimate.value)
    assert np.isnan(found.estimate.sd)


def test_an_unknown_reference_is_an_error():
    with pytest.raises(StudyError, match="'muscle' is not drawn"):
        list(ratio_to(session(), "muscle"))


def test_flags_of_both_regions_are_kept():
    flags = (("noise_unknown",), ("small_region",), ())
    assert set(only(session(curves=curves(flags=flags))).flags) == {"noise_unknown", "small_region"}
