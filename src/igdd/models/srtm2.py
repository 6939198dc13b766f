"""Simplified reference tissue model with one k2' of the reference for all regions (SRTM2).

With Cr the reference tissue, k2' [1/s] its rate back to plasma and k2a = R1 k2' / (1 + BPND),

    C(t) = R1 (Cr(t) + (k2' - k2a) int_0^t Cr(s) exp(-k2a (t - s)) ds)

Two parameters are left for each region. k2' is taken as given (`held`), or as the median over the
regions whose own fit with three parameters determines it (standard error below half of it).
Wu and Carson, J Cereb Blood Flow Metab 2002;22:1440, doi:10.1097/01.WCB.0000033967.83623.34.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Model, Parameter
from igdd.kinetics import Protocol, Solution, Solver
from igdd.models import srtm
from igdd.models.mrtm import common_k2prime, derive_mrtm2, predict_mrtm2

# Rates k2a in 1/s among which a fit begins: half-lives from 3 s to 10 h.
RATES = np.geomspace(2e-5, 0.2, 60)
BOUNDS = ((0.0, 20.0), (-0.99, 100.0))  # of R1 and BPND
FASTEST = 0.5  # of k2 in 1/s


def prepare(protocol: Protocol) -> Solver:
    """Solver for (R1, BPND, k2prime), with one k2prime for all curves."""
    from igdd.kernels import judge, levenberg

    reference = protocol.mean("reference")[0]
    retained = protocol.convolve("reference", RATES)
    given = protocol.held.get("k2prime")

    def with_common(parameters: np.ndarray, k2prime: float) -> np.ndarray:
        return np.column_stack([parameters, np.full(len(parameters), k2prime)])

    def solve(curves: np.ndarray, sd: np.ndarray | None) -> Solution:
        if given is None:
            three = _three(protocol, (reference, retained), curves, sd)
            k2prime = common_k2prime(three)
        else:
            k2prime = float(given)
        columns = (reference + (k2prime - RATES)[:, None] * retained)[:, :, None]
        rate, coefficients = _nearest(columns, curves, sd)
        R1 = np.clip(coefficients[:, 0], 1e-3, BOUNDS[0][1])
        BPND = np.clip(R1 * k2prime / rate - 1, *BOUNDS[1])
        fitted = levenberg.fit_curves(
            lambda parameters: predict_mrtm2(with_common(parameters, k2prime), protocol),
            curves,
            sd,
            np.stack([R1, BPND], axis=1)[:, None, :],
            np.array(BOUNDS),
        )
        runs = judge.residual_runs(curves, fitted.predicted, sd)
        fit = (fitted.status & judge.NOT_FITTED) == 0
        return Solution(
            parameters=with_common(fitted.parameters, k2prime),
            covariance=np.pad(fitted.covariance, ((0, 0), (0, 1), (0, 1))),
            status=fitted.status | np.where(runs & fit, judge.RESIDUAL_RUNS, 0),
            predicted=fitted.predicted,
            notes={"k2prime": k2prime},
        )

    return solve


def _three(
    protocol: Protocol,
    reference: tuple[np.ndarray, np.ndarray],
    curves: np.ndarray,
    sd: np.ndarray | None,
) -> Solution:
    """(R1, k2, BPND) of each curve by itself, for the median of k2' = k2 / R1."""
    from igdd.kernels import levenberg

    level, retained = reference
    columns = np.stack([np.broadcast_to(level, retained.shape), retained], axis=2)
    rate, coefficients = _nearest(columns, curves, sd)
    R1 = np.clip(coefficients[:, 0], 1e-3, BOUNDS[0][1])
    k2 = np.clip(coefficients[:, 1] + R1 * rate, 1e-6, FASTEST)
    BPND = np.clip(k2 / rate - 1, *BOUNDS[1])
    fitted = levenberg.fit_curves(
        lambda parameters: srtm.predict(parameters, protocol),
        curves,
        sd,
        np.stack([R1, k2, BPND], axis=1)[:, None, :],
        np.array([BOUNDS[0], (0.0, FASTEST), BOUNDS[1]]),
    )
    return Solution(
        parameters=fitted.parameters, covariance=fitted.covariance, status=fitted.status
    )


def _nearest(
    columns: np.ndarray, curves: np.ndarray, sd: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Rate (n,) of `RATES` whose columns (g, t, k) come nearest to curves (n, t); coefficients."""
    from igdd.kernels.linear import solve_linear, weights

    usable = np.where(np.isfinite(curves).all(axis=1)[:, None], curves, 0.0)
    weight = weights(sd, usable.shape)
    least = np.full(len(usable), np.inf)
    rate = np.full(len(usable), RATES[0])
    coefficients = np.zeros((len(usable), columns.shape[2]))
    for candidate, design in zip(RATES, columns, strict=True):
        solved = solve_linear(design, usable, sd)
        away = np.where(weight > 0, usable - solved.predicted, 0.0) * weight
        squares = np.nan_to_num(np.sum(away**2, axis=1), nan=np.inf)
        better = squares < least
        least[better], rate[better] = squares[better], candidate
        coefficients[better] = solved.coefficients[better]
    return rate, coefficients


MODELS = (
    Model(
        "srtm2",
        predict_mrtm2,
        parameters=(
            Parameter(
                "R1", "1", bounds=BOUNDS[0], help="delivery relative to the reference", start=(1.0,)
            ),
            Parameter("BPND", "1", bounds=BOUNDS[1], help="binding potential", start=(1.0,)),
            Parameter("k2prime", "1/min", (0.0, 30.0), help="rate of the reference", start=(0.1,)),
        ),
        needs=("reference",),
        help="binding by the simplified reference tissue model, k2' of the reference shared",
        reference="doi:10.1097/01.WCB.0000033967.83623.34",
        derived=(
            Parameter("k2", "1/min", help="rate back to plasma"),
            Parameter("k2a", "1/min", help="apparent rate back to plasma"),
        ),
        derive=derive_mrtm2,
        prepare=prepare,
        closed=True,
        family="reference",
    ),
)
