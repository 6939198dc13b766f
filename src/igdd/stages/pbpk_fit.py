"""The tumour's parameters from a measured uptake curve: maximum a posteriori on the log scale.

    minimise  sum ((ln y_i - ln f(t_i; p)) / s_i)^2 + (ln p - m)' S^-1 (ln p - m)

where m and S are mean and covariance of ln p over 378 studies in mice (pbpk_prior.toml), and p
stays within what those studies had. s_i is sd / y where the table has an sd, else the error given,
else that of the prior's file. Intervals are of the normal approximation at the optimum, and too
short where the posterior bends (docs/delivery_models.md has how often they hold the truth). A
parameter whose posterior standard deviation exceeds 0.8 of its prior one was not learnt from this
curve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.kernels import judge
from igdd.kernels.levenberg import Fitted, fit_curves
from igdd.kernels.nanoparticle_pbpk import UNITS
from igdd.stages.pbpk import of_rows, tumour_uptake
from igdd.stages.pbpk_inputs import Observed, Studies, prior_table
from igdd.uncertainty import NORMAL_95

INTERVAL = "95 % by the normal approximation; too short where the posterior bends, see the docs"
UNLEARNT = 0.8  # posterior over prior standard deviation
PRECISE = 1e-8  # relative error of a step: the search takes differences of curves
STARTS, SEED = 8, 378


class Prior(NamedTuple):
    """Prior of ln(parameters): mean, covariance, its inverse Cholesky factor, and bounds."""

    parameters: tuple[str, ...]
    mean: np.ndarray
    sd: np.ndarray
    whiten: np.ndarray
    bounds: np.ndarray
    error: float
    covariance: np.ndarray


def prior() -> Prior:
    """The prior over the 378 studies."""
    table = prior_table()
    sd = np.array(table["sd"])
    covariance = np.array(table["correlation"]) * np.outer(sd, sd)
    return Prior(
        parameters=tuple(table["parameters"]),
        mean=np.array(table["mean"]),
        sd=sd,
        whiten=np.linalg.inv(np.linalg.cholesky(covariance)),
        bounds=np.log(np.column_stack([table["low"], table["high"]])),
        error=float(table["error"]),
        covariance=covariance,
    )


def fit_studies(
    studies: Studies,
    seen: Mapping[str, Observed],
    variant: str,
    *,
    error: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """The six tumour parameters of every observed curve."""
    known = prior()
    if error is not None and not 0 < error < np.inf:
        raise InputError(f"error is {error:g}; expected a relative standard deviation above 0")
    rows = {name: row for row, name in enumerate(studies.names)}
    found = []
    for done, (name, curve) in enumerate(seen.items()):
        if not curve.time.size:
            raise InputError(f"study {name[:60]!r} has no observation above zero; cannot be fitted")
        body = of_rows(studies, np.array([rows[name]]))
        found.append(_fit_one(name, curve, body, known, (variant, error)))
        progress(done + 1, len(seen))
    return found


def fitted_curves(
    fits: list[dict[str, Any]], studies: Studies, times: np.ndarray, variant: str
) -> dict[str, np.ndarray]:
    """Tumour uptake (%ID) at times (t,) in h of every study with its fitted parameters."""
    rows = {name: row for row, name in enumerate(studies.names)}
    found = {}
    for one in fits:
        body = of_rows(studies, np.array([rows[one["study"]]]))
        values = {row["parameter"]: np.array([row["value"]]) for row in one["parameters"]}
        found[one["study"]] = tumour_uptake(body | values, times, variant)[0]
    return found


def _fit_one(
    name: str,
    curve: Observed,
    body: Mapping[str, np.ndarray],
    known: Prior,
    how: tuple[str, float | None],
) -> dict[str, Any]:
    """MAP of one curve: the prior enters as six more observations, whitened."""
    variant, error = how
    stated = bool(np.isfinite(curve.sd).all())
    spread = known.error if error is None else error
    sd = curve.sd / curve.value if stated else np.full(curve.time.size, spread)

    def predict(logs: np.ndarray) -> np.ndarray:
        values = {name: np.broadcast_to(body[name], len(logs)) for name in UNITS} | dict(
            zip(known.parameters, np.exp(logs).T, strict=True)
        )
        uptake = tumour_uptake(values, curve.time, variant, PRECISE)
        with np.errstate(divide="ignore", invalid="ignore"):
            shape = np.log(uptake)
        return np.asarray(np.hstack([shape, (logs - known.mean) @ known.whiten.T + OFFSET]))

    target = np.concatenate([np.log(curve.value), np.full(known.mean.size, OFFSET)])
    fitted = fit_curves(
        predict,
        target[None],
        np.concatenate([sd, np.ones(known.mean.size)])[None],
        _starts(known),
        known.bounds,
        absolute=True,
    )
    return _described(name, curve, known, fitted) | {
        "error": "sd of the table" if stated else spread
    }


# Prior residuals are taken as deviations from this, for a curve of zeros only is not fitted.
OFFSET = 1.0


def _starts(known: Prior) -> np.ndarray:
    """The prior's mean, and draws from it, the same in every call."""
    draws = np.random.default_rng(SEED).standard_normal((STARTS - 1, known.mean.size))
    spread = known.mean + draws @ np.linalg.cholesky(known.covariance).T
    low, high = known.bounds.T
    margin = 0.01 * (high - low)
    starts = np.vstack([known.mean, spread])
    return np.asarray(np.clip(starts, low + margin, high - margin))


def _described(name: str, curve: Observed, known: Prior, fitted: Fitted) -> dict[str, Any]:
    """Parameters with intervals and flags, and how the fit follows the curve."""
    logs, covariance = fitted.parameters[0], fitted.covariance[0]
    if not np.isfinite(logs).all():
        raise InputError(f"study {name[:60]!r}: no start of the fit led to finite curves")
    status = int(fitted.status[0])
    posterior = np.sqrt(np.diag(covariance))
    low, high = known.bounds.T
    at_bound = (logs <= low) | (logs >= high)
    rows = []
    for place, parameter in enumerate(known.parameters):
        sd = np.nan if at_bound[place] else float(posterior[place])
        unlearnt = not sd <= UNLEARNT * known.sd[place]
        flags = [*(["at_bound"] if at_bound[place] else []),
                 *(["poorly_identified"] if unlearnt else [])]  # fmt: skip
        rows.append({
            "parameter": parameter,
            "value": float(np.exp(logs[place])),
            "unit": UNITS[parameter],
            "low": float(np.exp(logs[place] - NORMAL_95 * sd)),
            "high": float(np.exp(logs[place] + NORMAL_95 * sd)),
            "sd_log": sd,
            "sd_log_prior": float(known.sd[place]),
            "flags": flags,
        })  # fmt: skip
    follows = np.exp(fitted.predicted[0, : curve.time.size])
    return {
        "study": name,
        "parameters": rows,
        "interval": INTERVAL,
        "observed": {"time": curve.time.tolist(), "value": curve.value.tolist()},
        "predicted": follows.tolist(),
        "aafe": float(np.exp(np.mean(np.abs(np.log(follows / curve.value))))),
        "left_out": curve.left_out,
        "flags": ["not_converged"] if status & judge.NOT_CONVERGED else [],
    }


def text(found: list[dict[str, Any]]) -> str:
    """Fitted parameters with their 95 % intervals; those that the curve did not teach are named."""
    lines = []
    for study in found:
        lines.append(f"study {study['study']}: fit of the tumour's parameters, average absolute "
                     f"fold error {study['aafe']:.3f}")  # fmt: skip
        for row in study["parameters"]:
            flags = f"  ({', '.join(row['flags'])})" if row["flags"] else ""
            lines.append(f"  {row['parameter']:26} {row['value']:10.4g} {row['unit']:4} "
                         f"[{row['low']:.3g}, {row['high']:.3g}]{flags}")  # fmt: skip
    return "\n".join([*lines, f"  [ ]: {INTERVAL}"])
