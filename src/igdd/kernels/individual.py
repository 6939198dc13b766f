"""An individual between what a population is like and what was measured: the maximum a posteriori.

    -2 ln p(eta | y) = sum (y - f)^2 / R + ln R + eta' Omega^-1 eta + constant

with predictions f(eta) and residual variances R(f). The constant n ln 2 pi is left out, as NONMEM
leaves it out. Around the maximum the posterior is a normal distribution whose inverse covariance is

    H = G' R^-1 G + 1/2 (dR/deta)' R^-2 (dR/deta) + Omega^-1,     G = df/deta

and the individual's part of the FOCE-I objective (Laplace's approximation with that H) is the value
at the maximum + ln det Omega + ln det H. Derivatives are complex steps, exact to rounding.
Beal and Sheiner, NONMEM Users Guide VII; Wang, J Pharmacokinet Pharmacodyn 2007;34:575.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from igdd.errors import FitError

# Squared length of a complex step is nothing beside 1.
TINY = 1e-30
ITERATIONS = 200
# Gain of a full step, in the objective, below which the maximum is reached.
SETTLED = 1e-13
HALVINGS = 40
# Standard deviations of the population at which further searches begin.
APART = 1.5
# Degrees of freedom and width of the distribution from which importance samples are drawn.
FREEDOM, WIDER = 5.0, 1.2
# Predictions held at once.
BLOCK = 500_000

# eta (m, q), real or complex -> predictions (m, t).
Predict = Callable[[np.ndarray], np.ndarray]


class Residual(NamedTuple):
    """Residual error: variance = additive^2 + (proportional f)^2 + known^2, `known` (t,) or 0."""

    additive: float
    proportional: float
    known: np.ndarray

    def variance(self, predicted: np.ndarray) -> np.ndarray:
        """Variances of predictions, real or complex."""
        share = self.proportional * predicted
        return np.asarray(self.additive**2 + share * share + self.known**2)


class Subject(NamedTuple):
    """What is known of one individual: values (t,), how they follow from eta, how they scatter."""

    predict: Predict
    values: np.ndarray
    residual: Residual


class Posterior(NamedTuple):
    """An individual's maximum a posteriori.

    eta         (q,); covariance (q, q) of Laplace's approximation
    predicted   (t,) at eta
    density     -2 ln of the joint density at eta, without constants
    objective   the individual's part of the FOCE-I objective
    settled     whether the search came to an end
    """

    eta: np.ndarray
    covariance: np.ndarray
    predicted: np.ndarray
    density: float
    objective: float
    settled: bool


class Draws(NamedTuple):
    """Draws (s, q) of eta from the posterior, their weights (s,) that sum to 1.

    effective  number of equally weighted draws that would say as much (Kish)
    objective  -2 ln of the marginal likelihood by importance sampling, without n ln 2 pi
    """

    eta: np.ndarray
    weights: np.ndarray
    effective: float
    objective: float


class _Local(NamedTuple):
    """Objective at a point, half its gradient and the information H."""

    value: float
    gradient: np.ndarray
    information: np.ndarray
    predicted: np.ndarray


def maximum_a_posteriori(subject: Subject, omega: np.ndarray) -> Posterior:
    """The most likely eta of an individual, found from the population's middle and around it."""
    precision = _inverse(omega)
    found, local, settled = _climb(subject, precision, np.zeros(len(omega)))
    away = _starts(omega)
    values = _density(subject, precision, away)
    if np.isfinite(values).any():
        # Another hill shows as a better place at some distance, or is not worth a visit.
        start = away[int(np.nanargmin(values))]
        other, there, also = _climb(subject, precision, start)
        if there.value < local.value - 1e-9 or not np.isfinite(local.value):
            found, local, settled = other, there, also
    if not np.isfinite(local.value):
        raise FitError(
            "no density at any start: a prediction or a residual variance is 0 or not finite; a "
            "proportional error alone cannot hold where the prediction is 0; expected an additive "
            "part too, or MDV 1 in that row"
        )
    sign, logarithm = np.linalg.slogdet(local.information)
    _, prior = np.linalg.slogdet(omega)
    return Posterior(
        eta=found,
        covariance=_inverse(local.information),
        predicted=local.predicted,
        density=local.value,
        objective=local.value + float(prior) + float(logarithm) if sign > 0 else float("nan"),
        settled=settled,
    )


def draws(
    subject: Subject, omega: np.ndarray, posterior: Posterior, count: int, seed: int = 0
) -> Draws:
    """Weighted draws from the posterior itself: importance sampling around its maximum.

    From a multivariate t, its points spread evenly (a scrambled Sobol sequence): `count` is rounded
    up to a power of 2.
    """
    size = len(omega)
    factor = WIDER * _factor(posterior.covariance)
    even = _even(size + 1, count, seed)
    count = len(even)
    spread = np.sqrt(FREEDOM / special.chdtri(FREEDOM, even[:, 0]))
    normal = special.ndtri(even[:, 1:])
    standard = normal * spread[:, None]
    eta = posterior.eta + standard @ factor.T
    precision = _inverse(omega)
    target = -0.5 * _density(subject, precision, eta)
    proposal = -0.5 * (FREEDOM + size) * np.log1p(np.sum(standard**2, axis=1) / FREEDOM)
    logarithm = np.where(np.isfinite(target), target - proposal, -np.inf)
    top = logarithm.max()
    if not np.isfinite(top):
        raise FitError("no draw from the posterior has a density; expected values that can be")
    weights = np.exp(logarithm - top)
    total = weights.sum()
    return Draws(
        eta=eta,
        weights=weights / total,
        effective=float(total**2 / np.sum(weights**2)),
        objective=_marginal(top + float(np.log(total / count)), factor, omega),
    )


def _even(size: int, count: int, seed: int) -> np.ndarray:
    """Points (s, q) spread evenly over the unit cube, none on its faces."""
    from scipy.stats import qmc

    sampler = qmc.Sobol(size, rng=np.random.default_rng(seed))
    points = sampler.random_base2(max(int(np.ceil(np.log2(count))), 1))
    return np.asarray(np.clip(points, 1e-12, 1 - 1e-12))


def _marginal(logarithm: float, factor: np.ndarray, omega: np.ndarray) -> float:
    """-2 ln of the marginal likelihood, from the mean importance ratio without its constants."""
    size = len(omega)
    half = 0.5 * (FREEDOM + size)
    student = (
        special.gammaln(half) - special.gammaln(0.5 * FREEDOM)
        - 0.5 * size * np.log(FREEDOM * np.pi) - float(np.log(np.abs(np.diag(factor))).sum())
    )  # fmt: skip
    _, prior = np.linalg.slogdet(2 * np.pi * omega)
    return float(-2 * (logarithm - student) + prior)


def population_draws(omega: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Etas (s, q) of the population, spread evenly; `count` is rounded up to a power of 2."""
    even = special.ndtri(_even(len(omega), count, seed))
    return np.asarray(even @ np.linalg.cholesky(omega).T)


def shrinkage(eta: np.ndarray, omega: np.ndarray) -> np.ndarray:
    """How much less individual etas (n, q) scatter than the population: 1 - sd / omega, (q,)."""
    if len(eta) < 2:
        return np.full(len(omega), np.nan)
    return np.asarray(1 - eta.std(axis=0, ddof=1) / np.sqrt(np.diag(omega)))


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a positive definite matrix, whatever the sizes of its rows."""
    factor = _factor(matrix)
    inner = np.linalg.inv(factor)
    return np.asarray(inner.T @ inner)


def _factor(matrix: np.ndarray) -> np.ndarray:
    """Cholesky factor, found with the diagonal at 1; FitError where there is none."""
    scale = np.sqrt(np.diag(matrix))
    try:
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            raise np.linalg.LinAlgError("not positive")
        return np.asarray(np.linalg.cholesky(matrix / scale / scale[:, None]) * scale[:, None])
    except np.linalg.LinAlgError as error:
        raise FitError(
            "the covariance of the etas, or the information on them, has no inverse; expected "
            "variances and samples of sizes that can be"
        ) from error


def _starts(omega: np.ndarray) -> np.ndarray:
    """Points (2 q, q) along the axes of the population."""
    steps = APART * np.diag(np.sqrt(np.diag(omega)))
    return np.concatenate([steps, -steps])


def _density(subject: Subject, precision: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """-2 ln of the joint density (m,) at etas (m, q); infinite where there is none."""
    block = max(1, BLOCK // max(1, subject.values.size))
    parts = [
        _density_of(subject, precision, eta[first : first + block])
        for first in range(0, len(eta), block)
    ]
    return np.concatenate(parts)


def _density_of(subject: Subject, precision: np.ndarray, eta: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        predicted = subject.predict(eta)
        variance = subject.residual.variance(predicted)
        squares = (subject.values - predicted) ** 2 / variance + np.log(variance)
        prior = np.einsum("mp,pq,mq->m", eta, precision, eta)
        total = squares.sum(axis=1) + prior
    return np.where(np.isfinite(total), total, np.inf)


def _local(subject: Subject, precision: np.ndarray, eta: np.ndarray) -> _Local:
    """Objective, half gradient and information at one eta (q,)."""
    size = eta.size
    moved = eta + 1j * TINY * np.eye(size)
    with np.errstate(all="ignore"):
        curves = subject.predict(moved)
        predicted, slopes = curves[0].real, curves.imag / TINY
        variance = subject.residual.variance(predicted)
        change = subject.residual.variance(curves).imag / TINY
        error = subject.values - predicted
        ratio = error / variance
        value = float(np.sum(error * ratio + np.log(variance)) + eta @ precision @ eta)
        gradient = -slopes @ ratio + change @ ((1 - error * ratio) / (2 * variance))
        gradient = gradient + precision @ eta
        information = (slopes / variance) @ slopes.T + 0.5 * (change / variance**2) @ change.T
        information = information + precision
    if not (np.isfinite(gradient).all() and np.isfinite(information).all()):
        value = float("inf")
    return _Local(value, gradient, information, predicted)


def _climb(
    subject: Subject, precision: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, _Local, bool]:
    """Fisher scoring with halved steps from one start."""
    eta, here = start, _local(subject, precision, start)
    if not np.isfinite(here.value):
        return eta, here, False
    for _ in range(ITERATIONS):
        step = -_inverse(here.information) @ here.gradient
        gain = float(-step @ here.gradient)
        if gain <= SETTLED * max(1.0, abs(here.value)):
            return eta, here, True
        for half in range(HALVINGS):
            trial = eta + step * 0.5**half
            there = _local(subject, precision, trial)
            if there.value < here.value:
                break
        else:
            # Rounding rules: nothing better lies that way.
            return eta, here, gain <= 1e-6
        eta, here = trial, there
    return eta, here, False
