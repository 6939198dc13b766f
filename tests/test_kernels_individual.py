"""Maximum a posteriori: closed forms, quadrature, and NONMEM's published objective."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from scipy.integrate import quad

from igdd.errors import FitError
from igdd.kernels.individual import (
    Residual,
    Subject,
    draws,
    maximum_a_posteriori,
    population_draws,
    shrinkage,
)


def straight(values, additive: float) -> Subject:
    """Samples that are eta itself."""
    values = np.array(values)
    return Subject(
        predict=lambda eta: eta[:, :1] + np.zeros(values.size),
        values=values,
        residual=Residual(additive, 0.0, np.zeros(values.size)),
    )


def wang(values, times, additive: float, proportional: float) -> Subject:
    return Subject(
        predict=lambda eta: 10 * np.exp(-0.5 * np.exp(eta[:, :1]) * times),
        values=values,
        residual=Residual(additive, proportional, np.zeros(times.size)),
    )


def test_a_normal_mean_is_weighted_by_what_is_known():
    omega = np.array([[4.0]])
    found = maximum_a_posteriori(straight([1.0, 2.0, 3.0], 0.5), omega)
    precision = 1 / 4.0 + 3 / 0.25
    assert found.eta[0] == pytest.approx(6.0 / 0.25 / precision, rel=1e-12)
    assert found.covariance[0, 0] == pytest.approx(1 / precision, rel=1e-12)
    assert found.settled


def test_the_objective_of_a_linear_model_is_the_exact_likelihood():
    omega = np.array([[4.0]])
    values = np.array([1.0, 2.0, 3.5])
    found = maximum_a_posteriori(straight(values, 0.5), omega)
    covariance = 0.25 * np.eye(3) + 4.0
    exact = values @ np.linalg.solve(covariance, values) + np.log(np.linalg.det(covariance))
    assert found.objective == pytest.approx(exact, rel=1e-12)


def test_without_samples_the_population_is_all_there_is():
    omega = np.array([[0.3, 0.1], [0.1, 0.2]])
    nothing = Subject(lambda eta: np.zeros((len(eta), 0), dtype=eta.dtype), np.zeros(0),
                      Residual(1.0, 0.0, np.zeros(0)))  # fmt: skip
    found = maximum_a_posteriori(nothing, omega)
    np.testing.assert_allclose(found.eta, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.covariance, omega, rtol=1e-12)
    assert found.objective == pytest.approx(0.0, abs=1e-12)


def test_known_standard_deviations_weigh_each_sample():
    values, sd = np.array([1.0, 5.0]), np.array([0.1, 10.0])
    subject = straight(values, 0.0)._replace(residual=Residual(0.0, 0.0, sd))
    found = maximum_a_posteriori(subject, np.array([[100.0]]))
    precision = 1 / 100 + np.sum(1 / sd**2)
    assert found.eta[0] == pytest.approx(np.sum(values / sd**2) / precision, rel=1e-12)


def test_draws_are_those_of_the_posterior():
    omega = np.array([[0.04]])
    subject = wang(np.array([10.7, 3.7]), np.array([0.0, 1.0]), 0.0, np.sqrt(0.1))
    found = maximum_a_posteriori(subject, omega)
    drawn = draws(subject, omega, found, 4096)

    def density(eta: float, power: int) -> float:
        curve = 10 * np.exp(-0.5 * np.exp(eta) * np.array([0.0, 1.0]))
        variance = 0.1 * curve**2
        terms = (subject.values - curve) ** 2 / variance + np.log(variance)
        return eta**power * np.exp(-0.5 * (terms.sum() + eta * eta / 0.04))

    area, first, second = (quad(density, -2, 2, args=(power,))[0] for power in range(3))
    mean = drawn.weights @ drawn.eta[:, 0]
    # 4096 points spread evenly: a thousandth
    assert mean == pytest.approx(first / area, abs=5e-4)
    spread = np.sqrt(drawn.weights @ (drawn.eta[:, 0] - mean) ** 2)
    assert spread == pytest.approx(np.sqrt(second / area - (first / area) ** 2), rel=5e-3)
    assert drawn.effective > 0.7 * 4096
    exact = -2 * np.log(area / np.sqrt(2 * np.pi * 0.04))
    assert drawn.objective == pytest.approx(exact, abs=5e-4)


def test_the_same_seed_draws_the_same():
    omega = np.array([[0.04]])
    subject = straight([0.1, 0.2], 0.3)
    found = maximum_a_posteriori(subject, omega)
    first, second, other = (draws(subject, omega, found, 64, seed).eta for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_the_further_of_two_hills_is_found():
    # eta enters squared: from 0 the slope is flat, and one of two equal hills must be reached
    subject = Subject(
        predict=lambda eta: eta[:, :1] ** 2 + np.zeros(3),
        values=np.full(3, 4.0),
        residual=Residual(0.1, 0.0, np.zeros(3)),
    )
    found = maximum_a_posteriori(subject, np.array([[4.0]]))
    assert abs(found.eta[0]) == pytest.approx(2.0, abs=0.01)


def test_a_proportional_error_of_nothing_is_refused():
    subject = Subject(
        predict=lambda eta: 0 * eta[:, :1] + np.zeros(2),
        values=np.ones(2),
        residual=Residual(0.0, 0.2, np.zeros(2)),
    )
    with pytest.raises(FitError, match="proportional"):
        maximum_a_posteriori(subject, np.array([[1.0]]))


def test_draws_of_the_population_have_its_covariance():
    omega = np.array([[0.3, 0.1], [0.1, 0.2]])
    found = np.cov(population_draws(omega, 4096).T)
    np.testing.assert_allclose(found, omega, rtol=0.01)


def test_shrinkage_is_the_spread_that_is_missing():
    eta = np.array([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(shrinkage(eta, np.diag([4.0, 1.0])), [0.5, 1.0])
    assert np.isnan(shrinkage(eta[:1], np.eye(2))).all()


@pytest.mark.reference
@pytest.mark.parametrize(
    ("additive", "proportional", "quantity"),
    # -2 ln likelihood without n ln 2 pi; printed to three digits
    [(0.0, np.sqrt(0.1), 39.458), (np.sqrt(0.1), 0.0, -2.059)],
)
def test_the_objective_is_nonmems_of_wang_2007(reference, additive, proportional, quantity):
    with reference("pharmacokinetics/poppk/Wang2007.csv").open() as file:
        rows = np.array([[float(cell) for cell in row] for row in list(csv.reader(file))[1:]])
    total = 0.0
    for number in np.unique(rows[:, 0]):
        own = rows[rows[:, 0] == number]
        subject = wang(own[:, 2], own[:, 1], additive, proportional)
        total += maximum_a_posteriori(subject, np.array([[0.04]])).objective
    assert total == pytest.approx(quantity, abs=6e-4)
