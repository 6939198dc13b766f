"""Sparse designs: R's PK package to the printed digit, coverage in simulated trials, tests."""

from __future__ import annotations

import csv
from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.kernels.sparse_comparison import (
    difference,
    interval,
    log_interval,
    redraw,
)
from igdd.kernels.sparse_exposure import area, exposure
from igdd.kernels.sparse_means import Sparse, weighted_means
from igdd.kernels.tissue_ratio import independent_ratio
from igdd.kernels.trapezoid import trapezoid_weights

FOLDER = "pharmacokinetics/sparse"
PRINTED = 2e-10  # 12 digits
Rows = dict[str, dict[str, dict[str, float]]]


@pytest.fixture(scope="module")
def expected(reference) -> Rows:
    """Case -> quantity -> statistic -> value, as R's PK 1.3-6 printed them."""
    found: Rows = {}
    with reference(f"{FOLDER}/expected_PK_R_1.3-6.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            value = row["value"].strip()
            statistics = found.setdefault(row["case"], {}).setdefault(row["quantity"], {})
            statistics[row["stat"]] = np.nan if value == "NA" else float(value)
    return found


@pytest.fixture(scope="module")
def read(reference) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Values (animal, time) and times of the rows of a table that meet the conditions."""

    def rows(name: str, animal: str | None = None, **wanted: str):
        with reference(f"{FOLDER}/{name}.csv").open(newline="") as stream:
            kept = [
                row
                for row in csv.DictReader(stream)
                if all(row[key] == value for key, value in wanted.items()) and row["conc"] != "NA"
            ]
        who = [row[animal] if animal else str(place) for place, row in enumerate(kept)]
        times = sorted({float(row["time"]) for row in kept})
        animals = list(dict.fromkeys(who))
        values = np.full((len(animals), len(times)), np.nan)
        for one, row in zip(who, kept, strict=True):
            values[animals.index(one), times.index(float(row["time"]))] = float(row["conc"])
        return values, np.array(times)

    return rows


def check(found: Sparse, level: float, quantities: dict[str, dict[str, float]]) -> None:
    """Estimate, error, freedom, t and z limits against R's."""
    for name, statistics in quantities.items():
        normal = found._replace(freedom=np.array(np.inf))
        low, high = interval(normal if " z " in name else found, level)
        assert_allclose(found.estimate, statistics["est"], rtol=PRINTED)
        assert_allclose(found.standard_error, statistics["stderr"], rtol=PRINTED)
        assert_allclose([low, high], [statistics["lower"], statistics["upper"]], rtol=1e-9)
        if " t " in name:
            assert_allclose(found.freedom, statistics["df"], rtol=PRINTED)


@pytest.mark.parametrize(
    ("case", "table", "animal", "wanted", "level"),
    [
        ("bailer1988_grp1", "bailer1988", None, {"group": "1"}, 0.95),
        ("bailer1988_grp2", "bailer1988", None, {"group": "2"}, 0.95),
        ("nedelman1995_CPI975_m30", "CPI975_nedelman1995", None, {"sex": "m", "dose": "30"}, 0.95),
        ("nedelman1995_CPI975_f30", "CPI975_nedelman1995", None, {"sex": "f", "dose": "30"}, 0.95),
        (
            "nedelman1995_CPI975_f100",
            "CPI975_nedelman1995", None, {"sex": "f", "dose": "100"}, 0.95,
        ),
        ("holder1999_rats100_batch", "Rats_holder1999", "id", {"dose": "100"}, 0.95),
        (
            "jaki_wolfsegger2012_trtA_overlapping_batches_90CI",
            "jaki_wolfsegger2012_trtA", "id", {}, 0.90,
        ),
    ],
)  # fmt: skip
def test_areas_of_every_design_equal_r(expected, read, case, table, animal, wanted, level):
    values, times = read(table, animal, **wanted)
    check(area(values, times), level, expected[case])


def test_a_difference_equals_r(expected, read):
    first, second = (area(*read("bailer1988", group=group)) for group in "12")
    # R subtracts the second from the first
    check(difference(second, first), 1 - 0.05 / 3, expected["bailer1988_diff_1-2_conf1-.05/3"])


@pytest.mark.parametrize(
    "case", ["bailer1988_ratio_2_3_90CI", "CPI975_m_dosenorm_ratio_30_100_90CI"]
)
def test_fieller_limits_equal_r(expected, read, case):
    if "bailer" in case:
        first, second = (area(*read("bailer1988", group=group)) for group in "23")
    else:
        first, second = (
            area(values / float(dose), times)
            for dose in ("30", "100")
            for values, times in [read("CPI975_nedelman1995", sex="m", dose=dose)]
        )
    found = independent_ratio(first, second, 0.90)
    quantities = expected[case]
    (fieller,) = (one for name, one in quantities.items() if "fieller" in name)
    (normal,) = (one for name, one in quantities.items() if "z-interval" in name)
    assert_allclose(found.estimate, fieller["est"], rtol=PRINTED)
    assert_allclose(found.standard_error, fieller["stderr"], rtol=PRINTED)
    assert_allclose(found.freedom, fieller["est.1"], rtol=PRINTED)
    assert_allclose([found.fieller_low, found.fieller_high],
                    [fieller["lower"], fieller["upper"]], rtol=1e-9)  # fmt: skip
    delta = Sparse(found.estimate, found.standard_error, np.array(np.inf))
    assert_allclose(interval(delta, 0.90), [normal["lower"], normal["upper"]], rtol=1e-9)


def test_parameters_to_infinity_equal_r(expected, read):
    values, times = read("CPI975_nedelman1995", sex="m", dose="30")
    found = exposure(values, times, tail=3, dose=30.0)
    names = {
        "AUC to tlast": "AUCLST", "AUC to infinity": "AUCIFO", "AUMC to infinity": "AUMCIFO",
        "Mean residence time": "MRTIFO", "non-compartmental half-life": "MRTHL",
        "Clearance": "CLO", "Volume of distribution at steady state": "VSSO",
    }  # fmt: skip
    compared = 0
    for quantity, statistics in expected["CPI975_m30_nca_ssd_ntail3_dose30"].items():
        one = getattr(found, names[quantity.split("for the ")[1].split(" using")[0]])
        check(one, 0.95, {quantity: statistics})
        compared += 1
    assert compared == 7


def by_hand(means: np.ndarray, heights: np.ndarray, times: np.ndarray, dose: float) -> np.ndarray:
    """The parameters after a bolus as plain functions of means and mean logarithms."""
    steepness = (heights[0] - heights[1]) / (times[1] - times[0])
    initial = np.exp(heights[0] + steepness * times[0])
    grid, curve = np.concatenate([[0.0], times]), np.concatenate([[initial], means])
    rate = -np.polyfit(times[-3:], heights[-3:], 1)[0]
    auc = np.trapezoid(curve, grid)
    whole = auc + means[-1] / rate
    moment = np.trapezoid(curve * grid, grid) + means[-1] * (times[-1] + 1 / rate) / rate
    residence = moment / whole - 0.05
    ln2 = np.log(2)
    return np.array(
        [auc, whole, moment, residence, ln2 * residence, rate, ln2 / rate, dose / whole,
         dose / whole * residence]
    )  # fmt: skip


def test_errors_after_a_bolus_are_those_of_numerical_gradients():
    generator = np.random.default_rng(3)
    times = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
    values = 10 * np.exp(-0.2 * times) * generator.lognormal(0, 0.2, (9, 5))
    both = np.hstack([values, np.log(values)])
    centre, covariance = both.mean(axis=0), np.cov(both.T) / 9

    def shifted(place: int, sign: int) -> np.ndarray:
        point = centre.copy()
        point[place] += sign * 1e-5 * abs(centre[place])
        return by_hand(point[:5], point[5:], times, 30.0)

    gradient = np.stack(
        [(shifted(j, 1) - shifted(j, -1)) / (2e-5 * abs(centre[j])) for j in range(10)], axis=1
    )
    found = exposure(values, times, dose=30.0, start="bolus", infusion=0.1)
    assert_allclose([one.estimate for one in found], by_hand(centre[:5], centre[5:], times, 30.0))
    errors = np.sqrt(np.diag(gradient @ covariance @ gradient.T))
    # 1e-6: error of central differences with a step of 1e-5
    assert_allclose([one.standard_error for one in found], errors, rtol=1e-6)


def test_an_exponential_without_scatter_is_found_whole():
    times = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
    values = np.tile(6 * np.exp(-0.25 * times), (3, 1))
    found = exposure(values, times, dose=12.0, start="bolus")
    assert_allclose(found.LAMZ.estimate, 0.25)
    assert_allclose(found.LAMZHL.estimate, np.log(2) / 0.25)
    grid = np.concatenate([[0.0], times])
    trapezoid = trapezoid_weights(grid) @ (6 * np.exp(-0.25 * grid))
    assert_allclose(found.AUCLST.estimate, trapezoid)
    assert_allclose(found.AUCIFO.estimate, trapezoid + 6 * np.exp(-2.0) / 0.25)
    assert_allclose(found.CLO.estimate, 12 / found.AUCIFO.estimate)
    assert_allclose(found.AUCIFO.standard_error, 0, atol=1e-12)


def test_a_bolus_that_rises_at_first_begins_at_its_first_mean():
    times, values = np.array([1.0, 2.0, 4.0]), np.array([[2.0, 4.0, 1.0], [2.0, 5.0, 1.5]])
    found, plain = area(values, times, "bolus"), area(values, times)
    assert_allclose(found.estimate - plain.estimate, 2.0)


def test_complete_profiles_have_the_variance_of_their_areas():
    generator = np.random.default_rng(0)
    times, values = np.array([0.0, 1.0, 3.0, 6.0]), generator.lognormal(1, 0.4, (7, 4))
    areas = values @ trapezoid_weights(times)
    found = area(values, times)
    assert_allclose(found.standard_error, areas.std(ddof=1) / np.sqrt(7))
    assert_allclose(found.freedom, 6)


def test_the_order_of_animals_changes_nothing(read):
    values, times = read("jaki_wolfsegger2012_trtA", "id")
    turned = values[np.random.default_rng(1).permutation(len(values))]
    assert_allclose(area(turned, times), area(values, times))


def test_a_single_animal_at_a_time_has_no_scatter_of_its_own():
    times = np.array([1.0, 2.0, 4.0])
    values = np.diag([5.0, 3.0, 1.0])
    values[values == 0] = np.nan
    values = np.vstack([values, [6.0, np.nan, np.nan]])
    own, pooled = area(values, times), area(values, times, spread="pooled")
    assert np.isnan(own.standard_error)
    assert own.estimate == pooled.estimate
    scatter = np.log(6 / 5) ** 2 / 2  # of the one time that has two animals
    growth = trapezoid_weights(times) * np.array([5.5, 3.0, 1.0])
    variance = (growth**2 / np.array([2, 1, 1])).sum() * np.expm1(scatter)
    assert_allclose(pooled.standard_error, np.sqrt(variance))
    assert pooled.freedom == 1


def test_a_pooled_scatter_of_batches_is_refused(read):
    values, times = read("Rats_holder1999", "id", dose="100")
    with pytest.raises(InputError, match="one sample per animal"):
        area(values, times, spread="pooled")


@pytest.mark.parametrize("tail", [[1.0, 2.0, 3.0], [3.0, 2.0, 0.0]])
def test_a_tail_that_rises_or_has_no_logarithm_gives_nan(tail):
    times = np.array([1.0, 2.0, 4.0, 8.0])
    values = np.array([[5.0, *tail], [6.0, *tail]])
    found = exposure(values, times)
    assert np.isfinite(found.AUCLST.estimate)
    assert np.isnan([found.AUCIFO.estimate, found.LAMZ.standard_error, found.MRTIFO.freedom]).all()


def test_an_arithmetic_tail_bears_a_zero():
    times = np.array([1.0, 2.0, 4.0, 8.0])
    values = np.array([[9.0, 6.0, 3.0, 0.0], [8.0, 5.0, 4.0, 1.0], [9.0, 6.0, 2.0, 2.0]])
    found = exposure(values, times, tail_mean="arithmetic")
    slope = np.polyfit(times[1:], np.log(values.mean(axis=0))[1:], 1)[0]
    assert_allclose(found.LAMZ.estimate, -slope)
    assert found.AUCIFO.standard_error > 0


@pytest.mark.parametrize(
    ("values", "times"),
    [
        (np.ones((2, 3)), [1.0, 2.0]),
        (np.ones((2, 2)), [2.0, 1.0]),
        (np.ones((2, 2)), [-1.0, 1.0]),
        (np.array([[1.0, np.nan], [1.0, np.nan]]), [1.0, 2.0]),
        (np.ones(3), [1.0, 2.0, 3.0]),
    ],
)
def test_designs_that_cannot_be_are_refused(values, times):
    with pytest.raises(InputError, match="expected"):
        area(values, np.array(times))


def test_trials_of_different_designs_are_refused():
    values = np.ones((2, 3, 2))
    values[1, 0, 0] = np.nan
    with pytest.raises(InputError, match="one design"):
        area(values, np.array([1.0, 2.0]))


def test_trials_at_once_equal_trials_one_by_one():
    generator = np.random.default_rng(5)
    times = np.array([0.5, 1.0, 2.0, 4.0])
    values = serial(generator.lognormal(0, 0.3, (6, 4, 3)) * np.exp(-0.3 * times)[:, None])
    together = exposure(values, times, dose=3.0)
    for row in range(6):
        for one, other in zip(together, exposure(values[row], times, dose=3.0), strict=True):
            assert_allclose([part[row] for part in one], other, rtol=1e-12)


def serial(samples: np.ndarray) -> np.ndarray:
    """Samples (trial, time, replicate) as a design of one animal a sample (trial, animal, time)."""
    trials, times, replicates = samples.shape
    values = np.full((trials, times * replicates, times), np.nan)
    for time in range(times):
        values[:, time * replicates : (time + 1) * replicates, time] = samples[:, time]
    return values


TIMES = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 24.0])
MEANS = 10 * (np.exp(-0.12 * TIMES) - np.exp(-1.5 * TIMES))
TRIALS = 10_000


def coverage(animals: int, cv: float) -> tuple[float, float]:
    """Share of log-t intervals that hold the truth: of AUC to the last time, and to infinity.

    The truth is what the rule gives on the true means: the estimand, not the integral.
    """
    scale = np.sqrt(np.log1p(cv**2))
    generator = np.random.default_rng([animals, round(100 * cv)])
    hits, tried = np.zeros(2), 0
    truth = exposure(np.tile(MEANS, (2, 1)), TIMES)
    for _ in range(4):  # bounded memory
        noise = generator.standard_normal((TRIALS // 4, TIMES.size, animals))
        samples = MEANS[:, None] * np.exp(scale * noise - scale**2 / 2)
        found = exposure(serial(samples), TIMES)
        for place, name in enumerate(("AUCLST", "AUCIFO")):
            low, high = log_interval(getattr(found, name))
            true = getattr(truth, name).estimate
            hits[place] += ((low <= true) & (true <= high)).sum()
        tried += len(samples)
    return float(hits[0] / tried), float(hits[1] / tried)


@pytest.mark.parametrize("animals", [3, 5, 8])
@pytest.mark.parametrize("cv", [0.1, 0.3, 0.5])
def test_log_t_intervals_cover_as_they_say(animals, cv):
    # 10,000 trials: a share of 0.95 has a standard error of 0.002; the bounds are the project's
    for share in coverage(animals, cv):
        assert 0.93 <= share <= 0.97


def test_a_bootstrap_draws_within_batches(read):
    values, _ = read("Rats_holder1999", "id", dose="100")
    drawn = redraw(values, 50, np.random.default_rng(0))
    assert (np.isfinite(drawn) == np.isfinite(values)).all()


def test_an_animal_with_a_lost_sample_counts_with_its_batch():
    values = np.array([[1.0, 2.0], [2.0, 3.5], [3.0, 4.0], [4.0, np.nan]])
    found = weighted_means(values, np.array([1.0, 1.0]))
    assert found.standard_error > 0
    assert_allclose(found.freedom, 3)
