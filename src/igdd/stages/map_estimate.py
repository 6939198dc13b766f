"""One individual's maximum a posteriori, from its events and the population it belongs to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.errors import FitError, InputError
from igdd.io.event_table import Events
from igdd.kernels import individual as kernel
from igdd.kernels.disposition import disposition
from igdd.kernels.dose_response import Absorption, central
from igdd.stages.dose_schedule import Course, course
from igdd.stages.population import Population


class Known(NamedTuple):
    """One individual as the kernels see it: typical parameters, course, samples, posterior."""

    events: Events
    typical: np.ndarray
    course: Course
    subject: kernel.Subject
    posterior: kernel.Posterior


def estimate(prior: Population, events: Events, source: str) -> Known:
    """The maximum a posteriori of one individual; without samples it is the population's middle."""
    typical = prior.typical(events, source)
    own = course(events, prior.depot, source)
    if not own.schedule.amount.size and own.value.size:
        raise InputError(
            f"{source}: ID {events.subject} has samples but no dose; expected one before them"
        )
    subject = kernel.Subject(
        predict=_predictor(prior, typical, own),
        values=own.value,
        residual=kernel.Residual(
            prior.additive, prior.proportional, _known_sd(prior, events, own, source)
        ),
    )
    try:
        posterior = kernel.maximum_a_posteriori(subject, prior.omega)
    except FitError as error:
        raise FitError(f"{source}: ID {events.subject}: {error}") from error
    return Known(events, typical, own, subject, posterior)


def _predictor(prior: Population, typical: np.ndarray, own: Course) -> kernel.Predict:
    schedule = own.schedule._replace(
        amount=own.schedule.amount * prior.amount_factor,
        rate=own.schedule.rate * prior.amount_factor,
    )

    def predict(eta: np.ndarray) -> np.ndarray:
        parameters = prior.individual(typical, eta)
        if not schedule.amount.size:
            return np.zeros((len(eta), own.time.size), dtype=eta.dtype)
        size = parameters.shape[1] - (3 if prior.depot else 0)
        absorption = None
        if prior.depot:
            absorption = Absorption(*parameters[:, size:].T)
        return central(disposition(parameters[:, :size]), schedule, absorption)

    return predict


def _known_sd(prior: Population, events: Events, own: Course, source: str) -> np.ndarray:
    """Known standard deviations of the samples, from a column; 0 where there is none."""
    if not prior.known:
        return np.zeros(own.row.size)
    if prior.known not in events.covariates or events.covariates[prior.known].dtype == object:
        raise InputError(
            f"{source}: has no column {prior.known!r} of numbers, the known standard deviations of "
            "the population's [residual]"
        )
    found = events.covariates[prior.known][own.row]
    wrong = ~(found > 0)
    if wrong.any():
        raise InputError(
            f"{source}: line {events.line[own.row[wrong][0]]}: {prior.known} is "
            f"{found[wrong][0]:g}; expected a standard deviation above zero in every sample"
        )
    return np.asarray(found, dtype=float)
