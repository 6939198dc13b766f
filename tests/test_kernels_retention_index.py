"""Retention index: exact ratios, errors that cancel, Fieller, and the decisions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.kernels.retention_index import Signal, area_index, retention_index
from igdd.kernels.retention_verdict import (
    ARTEFACT,
    INTACT,
    RELEASED,
    UNDECIDED,
    overall,
    verdict,
)

TIMES = np.array([1.0, 4.0, 24.0, 48.0, 72.0])
CARRIER = 20 * np.exp(-0.02 * TIMES)


def signal(values, cv: float = 0.03, shared: float = 0.0) -> Signal:
    values = np.asarray(values, float)
    return Signal(values, np.abs(values) * np.hypot(cv, shared), np.abs(values) * shared)


def decide(ratio, cv: float = 0.03, sink: str = "", given=(1.0, 0.0)):
    drug, carrier = signal(CARRIER * ratio, cv), signal(CARRIER, cv)
    index = retention_index(drug, carrier, given)
    return verdict(index, area_index(TIMES, drug, carrier, given), sink=sink)


def test_the_index_is_the_ratio_over_the_ratio_given():
    found = retention_index(signal([4.0, 1.0]), signal([2.0, 2.0]), (2.0, 0.0))
    assert_allclose(found.value, [1.0, 0.25])
    assert_allclose(found.sd, found.value * 0.03 * np.sqrt(2))


def test_against_the_first_time_the_first_index_is_one_without_error():
    found = retention_index(signal([4.0, 1.0]), signal([2.0, 2.0]))
    assert_allclose([found.value[0], found.sd[0]], [1.0, 0.0], atol=1e-15)
    assert_allclose(found.value[1], 0.25)
    assert_allclose(found.sd[1], 0.25 * 0.03 * 2)  # four measurements


def test_a_labels_calibration_cancels_against_the_first_time_only():
    drug, carrier = signal([4.0, 1.0], 0.02, 0.3), signal([2.0, 2.0], 0.02, 0.3)
    assert_allclose(retention_index(drug, carrier).sd[1], 0.25 * 0.02 * 2)
    with_given = retention_index(drug, carrier, (2.0, 0.0))
    assert_allclose(with_given.sd[1], 0.25 * np.sqrt(2 * 0.02**2 + 2 * 0.3**2))


def test_one_calibration_for_both_labels_cancels():
    drug, carrier = signal([4.0, 1.0], 0.02, 0.3), signal([2.0, 2.0], 0.02, 0.3)
    found = retention_index(drug, carrier, (2.0, 0.0), shared=1.0)
    assert_allclose(found.sd, found.value * 0.02 * np.sqrt(2))


def test_the_ratio_given_brings_its_own_error():
    found = retention_index(signal([2.0], 0.0 + 1e-9), signal([2.0], 1e-9), (1.0, 0.1))
    assert_allclose(found.sd, 0.1, rtol=1e-6)


def test_units_do_not_count():
    one = retention_index(signal([4.0, 1.0]), signal([2.0, 2.0]), (2.0, 0.1))
    other = retention_index(signal([4e3, 1e3]), signal([2.0, 2.0]), (2e3, 1e2))
    for first, second in zip(one[:6], other[:6], strict=True):
        assert_allclose(first, second, rtol=1e-12)


@pytest.mark.parametrize("cv", [0.05, 0.25])
def test_limits_cover(cv):
    generator = np.random.default_rng(8)
    count = 4000
    drug = 1.0 * (1 + cv * generator.standard_normal(count))
    carrier = 2.0 * (1 + cv * generator.standard_normal(count))
    inside = []
    for d, c in zip(drug, carrier, strict=True):
        found = retention_index(
            Signal(np.array([d]), np.array([cv]), np.zeros(1)),
            Signal(np.array([c]), np.array([2 * cv]), np.zeros(1)), (1.0, 0.0),
        )  # fmt: skip
        # Where Fieller's set has no bounds nothing is claimed, and nothing missed.
        inside.append(not np.isfinite(found.high[0]) or found.low[0] <= 0.5 <= found.high[0])
    # 4,000 draws: standard error 0.0035
    assert np.mean(inside) == pytest.approx(0.95, abs=0.012)


def test_fieller_is_taken_where_the_carrier_is_not_well_known():
    found = retention_index(signal([1.0, 1.0], 0.05), signal([1.0, 1.0], 0.10), (1.0, 0.0))
    assert not found.by_fieller.any()
    wide = retention_index(signal([1.0, 1.0], 0.05), signal([1.0, 1.0], 0.20), (1.0, 0.0))
    assert wide.by_fieller.all()
    z2 = 1.959963984540054**2
    low, high = np.roots([1 - z2 * 0.04, -2.0, 1 - z2 * 0.0025])[::-1]
    assert_allclose([wide.low[0], wide.high[0]], [low, high])


def test_a_carrier_that_is_not_told_from_zero_has_no_limits():
    found = retention_index(signal([1.0], 0.05), signal([1.0], 0.6), (1.0, 0.0))
    assert np.isnan(found.high[0])


def test_a_negative_drug_signal_stays_as_measured():
    drug = Signal(np.array([-0.1]), np.array([0.2]), np.zeros(1))
    found = retention_index(drug, signal([2.0]), (1.0, 0.0))
    assert_allclose(found.value, [-0.05])
    assert found.low[0] < -0.05 < found.high[0]


def test_the_index_of_areas_is_the_ratio_of_trapezoids():
    drug, carrier = signal(CARRIER * np.linspace(1, 0.4, 5)), signal(CARRIER)
    found = area_index(TIMES, drug, carrier, (1.0, 0.0))
    assert_allclose(found.value[0],
                    np.trapezoid(drug.value, TIMES) / np.trapezoid(CARRIER, TIMES))  # fmt: skip


@pytest.mark.parametrize(
    ("ratio", "sink", "decision"),
    [
        (np.ones(5), "", INTACT),
        (np.full(5, 0.97), "", INTACT),
        (np.linspace(1, 0.3, 5), "", RELEASED),
        (np.array([1, 1, 1, 0.9, 0.6]), "", RELEASED),
        (np.linspace(1, 2.5, 5), "", ARTEFACT),
        (np.array([1, 0.5, 0.6, 1.4, 2.0]), "", ARTEFACT),
        (np.linspace(1, 2.5, 5), "drug", ARTEFACT),
        (np.linspace(1, 0.3, 5), "carrier", UNDECIDED),
        (np.ones(5), "drug", UNDECIDED),
    ],
)  # fmt: skip
def test_decisions(ratio, sink, decision):
    found = decide(ratio, sink=sink)
    assert found.decision == decision
    assert found.trace


def test_noise_leaves_it_undecided():
    assert decide(np.ones(5), cv=0.4).decision == UNDECIDED
    assert decide(np.array([1, 1, 1, 1, 0.9]), cv=0.2).decision == UNDECIDED


def test_equal_labels_are_not_called_released():
    generator = np.random.default_rng(9)
    wrong = 0
    for _ in range(1000):
        noise = 1 + 0.1 * generator.standard_normal((2, 5))
        drug = Signal(CARRIER * noise[0], CARRIER * 0.1, np.zeros(5))
        carrier = Signal(CARRIER * noise[1], CARRIER * 0.1, np.zeros(5))
        index = retention_index(drug, carrier, (1.0, 0.0))
        found = verdict(index, area_index(TIMES, drug, carrier, (1.0, 0.0)))
        wrong += found.decision in (RELEASED, ARTEFACT)
    # each of two looks down and of the looks up together errs in 2.5 %: 7.5 % at most
    assert wrong <= 85


def test_an_artefact_outweighs_release():
    found = overall([("tumour", RELEASED), ("bone", ARTEFACT), ("liver", INTACT)])
    assert found.decision == ARTEFACT
    assert "released: tumour" in found.trace
    assert overall([("tumour", RELEASED), ("liver", INTACT)]).decision == RELEASED
    assert overall([("liver", INTACT), ("bone", UNDECIDED)]).decision == INTACT
    assert overall([]).decision == UNDECIDED


@pytest.mark.parametrize("margin", [(1.0, 1.25), (0.8, 0.9), (0.0, 2.0), (0.8, np.inf)])
def test_a_margin_without_one_inside_is_refused(margin):
    index = retention_index(signal([1.0]), signal([1.0]), (1.0, 0.0))
    with pytest.raises(InputError, match="margin"):
        verdict(index, None, margin)


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="same times"):
        retention_index(signal([1.0, 2.0]), signal([1.0]))
    with pytest.raises(InputError, match="above 0"):
        retention_index(signal([1.0]), signal([1.0]), (0.0, 0.0))
    with pytest.raises(InputError, match="not finite"):
        retention_index(signal([np.nan]), signal([1.0]))
    with pytest.raises(InputError, match="ascending"):
        area_index(np.array([2.0, 1.0]), signal([1.0, 1.0]), signal([1.0, 1.0]))
