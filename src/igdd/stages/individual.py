"""Individuals between a population and their samples: maximum a posteriori, and the next dose.

Reads an event table in the form of NONMEM (`igdd.io.event_table`) and a population prior
(`igdd.stages.population`). The objective is that of FOCE with interaction without n ln 2 pi, as
NONMEM prints it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from igdd.errors import InputError
from igdd.io.event_table import read_events
from igdd.kernels import individual as kernel
from igdd.stages.dose_choice import choose, read_wish
from igdd.stages.map_estimate import Known, estimate
from igdd.stages.population import Population
from igdd.stages.population_file import read_population
from igdd.uncertainty import NORMAL_95

# Posterior over prior standard deviation beyond which the samples have said too little.
NEAR_PRIOR = 0.8
DRAWS = 1024
# Share of the draws that must count for their weights to be trusted.
EFFECTIVE = 0.1


def individual(
    events: Path | str,
    population: Path | str,
    *,
    target: str | None = None,
    loss: str = "outside",
    interval: str | None = None,
    infusion: str | None = None,
    doses: tuple[str, str] | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Maximum a posteriori of every individual of an event table, and a dose for a target.

    events      NONMEM's columns ID TIME AMT RATE ADDL II SS EVID MDV CMT DV and covariates
    population  TOML file: model, typical values, omega, residual error
    target      exposure that the next dose shall give: "AUC 400..600 mg.h/L", "Cmax ..", "Cmin .."
    loss        outside, squared_log or absolute_log (docs/pharmacokinetics.md)
    interval    between doses, for an exposure at steady state; None: after a single dose
    infusion    duration of the next dose where it is infused
    doses       least and largest dose that may be given
    """
    prior = read_population(population)
    several, source = read_events(Path(events), prior.renamed, prior.ignored, prior.only)
    wish = None
    if target is None and (interval or infusion or doses):
        raise InputError("interval, infusion and doses are for a target; expected one beside them")
    if target is not None:
        wish = read_wish(prior, target, loss, interval=interval, infusion=infusion, doses=doses)
    found: list[dict[str, Any]] = []
    posteriors = []
    for number, one in enumerate(several):
        known = estimate(prior, one, source)
        entry = _entry(prior, known, seed)
        if wish is not None:
            entry["dose"] = choose(prior, known, wish, seed)
        found.append(entry)
        posteriors.append(known.posterior)
        if progress is not None:
            progress(number + 1, len(several))
    return _summary(prior, found, posteriors)


def _entry(prior: Population, known: Known, seed: int) -> dict[str, Any]:
    """What is printed of one individual."""
    posterior = known.posterior
    with np.errstate(all="ignore"):
        parameters = _parameters(prior, known)
    flags = set()
    ratio = np.sqrt(np.diag(posterior.covariance) / np.diag(prior.omega))
    if not posterior.settled:
        flags.add("not_converged")
    if (ratio > NEAR_PRIOR).all():
        flags.add("posterior_near_prior")
    drawn = kernel.draws(known.subject, prior.omega, posterior, DRAWS, seed)
    if drawn.effective < EFFECTIVE * DRAWS:
        flags.add("importance_weights_few")
    return {
        "subject": known.events.subject,
        "parameters": parameters,
        "eta": {name: float(posterior.eta[place]) for place, name in enumerate(prior.random)},
        "covariance": posterior.covariance.tolist(),
        "posterior_over_prior": {
            name: float(ratio[place]) for place, name in enumerate(prior.random)
        },
        "samples": int(known.course.value.size),
        "objective": posterior.objective,
        "objective_importance": drawn.objective,
        "effective_draws": drawn.effective,
        "predictions": [
            {"time": float(time), "observed": float(value), "predicted": float(curve)}
            for time, value, curve in zip(
                known.course.time, known.course.value, posterior.predicted, strict=True
            )
        ],
        "flags": sorted(flags),
    }


def _parameters(prior: Population, known: Known) -> dict[str, dict[str, Any]]:
    """Parameters in their own units, with standard deviations and intervals of 95 %."""
    posterior = known.posterior
    own = prior.individual(known.typical, posterior.eta[None])[0]
    ends = [
        prior.individual(
            known.typical,
            posterior.eta[None] + sign * NORMAL_95 * np.sqrt(np.diag(posterior.covariance)),
        )[0]
        for sign in (-1.0, 1.0)
    ]
    slopes = prior.individual(
        known.typical, posterior.eta + 1j * kernel.TINY * np.eye(len(prior.random))
    ).imag / kernel.TINY  # fmt: skip
    spread = np.sqrt(np.einsum("qp,qr,rp->p", slopes, posterior.covariance, slopes))
    return {
        one.name: {
            "value": float(own[place] * one.scale),
            "sd": float(spread[place] * one.scale),
            "low": float(ends[0][place] * one.scale),
            "high": float(ends[1][place] * one.scale),
            "unit": one.unit,
        }
        for place, one in enumerate(prior.parameters)
    }


def _summary(
    prior: Population, found: Sequence[Mapping[str, Any]], posteriors: Sequence[kernel.Posterior]
) -> dict[str, Any]:
    """The whole: the objective summed, how far the etas shrank, and the individuals."""
    eta = np.array([one.eta for one in posteriors])
    shrunk = kernel.shrinkage(eta, prior.omega)
    samples = sum(int(one["samples"]) for one in found)
    return {
        "population": prior.title,
        "model": prior.model,
        "units": {"time": prior.time, "dose": prior.dose, "concentration": prior.concentration},
        "objective": float(sum(one.objective for one in posteriors)),
        "objective_constant": float(samples * np.log(2 * np.pi)),
        "objective_rule": "FOCE with interaction, -2 ln likelihood without n ln 2 pi",
        "shrinkage": {name: float(shrunk[place]) for place, name in enumerate(prior.random)},
        "subjects": list(found),
    }


def text(found: Mapping[str, Any]) -> str:
    """Individuals as lines for the eye: parameters with their intervals, the dose, flags."""
    head = found["population"] or found["model"]
    shrunk = ", ".join(f"{name} {100 * value:.1f} %" for name, value in found["shrinkage"].items())
    lines = [
        f"{head}: {len(found['subjects'])} individuals, objective {found['objective']:.5f} "
        f"({found['objective_rule']}), shrinkage {shrunk}"
    ]
    for one in found["subjects"]:
        parameters = "  ".join(
            f"{name} {entry['value']:.4g} [{entry['low']:.4g}, {entry['high']:.4g}] {entry['unit']}"
            for name, entry in one["parameters"].items()
            if entry["sd"] > 0
        )
        flags = f"  ({', '.join(one['flags'])})" if one["flags"] else ""
        lines.append(f"{one['subject']}\t{parameters}{flags}")
        if "dose" in one:
            lines.append(f"\t{one['dose']['sentence']}")
    return "\n".join(lines)
