"""Spectral analysis: the tissue's response as a spectrum of exponentials, none of them assumed.

On a grid of decay constants beta, evenly spread on the logarithm,

    C(t) = (1 - Vb) sum_j alpha_j int_0^t Cp(s) exp(-beta_j (t - s)) ds + Vb Cb(t),   alpha_j >= 0

by non-negative least squares. K1 = sum alpha [mL/cm3/s inside], VT = sum alpha / beta [mL/cm3], and
Ki is the alpha of the slowest component, which the scan cannot tell from trapping. Where that is
not 0, VT is set by the end of the grid and the fit has the flag `at_bound`. Vb is fitted unless
held; without blood among the inputs it is 0. Standard errors come from residuals drawn anew.
Cunningham and Jones, J Cereb Blood Flow Metab 1993;13:15, doi:10.1038/jcbfm.1993.5; Turkheimer et
al., ibid. 1994;14:406.
"""

from __future__ import annotations

import numpy as np

from igdd.declare import Model, Option, Parameter
from igdd.errors import InputError
from igdd.kinetics import Protocol, Solution, Solver
from igdd.models._parameters import KNOWN_DELAY

# Ends of the grid: this share of the reciprocal of the whole time, and 1/s.
SLOWEST, FASTEST = 0.01, 0.1
COMPONENTS = 100
REPLICATES = 200
# An alpha below this share of K1 is rounding.
NOTHING = 1e-9
# Components that are counted as fitted, for the residuals' freedom: a spectrum has few lines.
LINES = 3


def predict(parameters: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Tissue (n, t) of (K1, VT, Ki, Vb, delay): the shortest spectrum with these numbers.

    It has one line at the slow end of the grid, of height Ki, and one of height K1 - Ki whose place
    gives VT. A fit has its own spectrum, which follows the curve more closely.
    """
    K1, VT, Ki, Vb, delay = parameters.T
    slowest = _grid(protocol)[0]
    passing, volume = K1 - Ki, VT - Ki / slowest
    beta = np.divide(passing, volume, out=np.full_like(K1, slowest), where=volume > 0)
    tissue = passing[:, None] * protocol.convolve("plasma", beta, delay)
    tissue += Ki[:, None] * protocol.convolve("plasma", np.full_like(K1, slowest), delay)
    if not Vb.any():
        return np.asarray(tissue)
    return np.asarray((1 - Vb)[:, None] * tissue + Vb[:, None] * protocol.mean("blood", delay))


def prepare(protocol: Protocol) -> Solver:
    """Solver for (K1, VT, Ki, Vb), the delay being held."""
    from igdd.kernels import judge

    beta = _grid(protocol)
    delay = float(protocol.held.get("delay", 0.0))
    columns = protocol.convolve("plasma", beta, delay)
    blood = protocol.mean("blood", delay)[0] if "blood" in protocol.inputs else None
    held = protocol.held.get("Vb", None if blood is not None else 0.0)
    if held is not None and not 0 <= held < 1:
        raise InputError(f"Vb is held at {held:g}; expected a share from 0 to below 1")
    replicates = int(protocol.options.get("replicates", REPLICATES))

    def solve(curves: np.ndarray, sd: np.ndarray | None) -> Solution:
        spread = judge.deviations(sd, curves.shape)
        spectra, predicted = _spectra(curves, spread, columns, blood, held)
        parameters = _numbers(spectra, beta)
        covariance = _bootstrap(
            (curves, predicted, spread), (columns, blood, held), beta, replicates
        )
        fitted = np.isfinite(parameters).all(axis=1)
        trapped = fitted & (parameters[:, 2] > NOTHING * parameters[:, 0])
        runs = judge.residual_runs(curves, predicted, sd)
        status = np.where(fitted, 0, judge.NOT_FITTED) | np.where(trapped, judge.AT_BOUND, 0)
        unsure = judge.poorly_identified(parameters[:, :2], covariance[:, :2, :2])
        status |= np.where(fitted & unsure, judge.POORLY_IDENTIFIED, 0)
        return Solution(
            parameters=np.column_stack([parameters, np.full(len(curves), delay)]),
            covariance=np.pad(covariance, ((0, 0), (0, 1), (0, 1))),
            status=status | np.where(fitted & runs, judge.RESIDUAL_RUNS, 0),
            predicted=predicted,
            notes=_notes(spectra, beta),
        )

    return solve


def _grid(protocol: Protocol) -> np.ndarray:
    """Decay constants of the spectrum in 1/s, ascending."""
    whole = float(protocol.frames.end[-1] - min(protocol.frames.start[0], 0.0))
    slowest = protocol.options.get("slowest")
    slowest = SLOWEST / whole if slowest is None else float(slowest)
    fastest = float(protocol.options.get("fastest", FASTEST))
    if not 0 < slowest < fastest:
        raise InputError(
            f"the spectrum runs from {slowest:g} to {fastest:g} 1/s; expected 0 < slowest < fastest"
        )
    return np.geomspace(slowest, fastest, int(protocol.options.get("components", COMPONENTS)))


def _spectra(
    curves: np.ndarray,
    spread: np.ndarray,
    columns: np.ndarray,
    blood: np.ndarray | None,
    held: float | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Spectra (n, g + 1), the last column Vb, and predicted curves (n, t); NaN where not fitted."""
    from scipy.optimize import nnls

    fixed = 0.0 if held is None else float(held)
    known = np.zeros(curves.shape[1]) if blood is None else fixed * blood
    design = (1 - fixed) * columns.T
    if held is None and blood is not None:
        design = np.column_stack([design, blood])
    # Columns at unit length: the solver's tolerances then treat them alike.
    length = np.linalg.norm(design, axis=0)
    length[length == 0] = 1.0
    spectra = np.full((len(curves), columns.shape[0] + 1), np.nan)
    predicted = np.full(curves.shape, np.nan)
    for row, (curve, sd) in enumerate(zip(curves, spread, strict=True)):
        used = np.isfinite(sd)
        if not np.isfinite(curve[used]).all() or not (curve[used] != 0).any():
            continue
        weighted = design[used] / length / sd[used, None]
        heights = nnls(weighted, (curve - known)[used] / sd[used], maxiter=30 * len(length))[0]
        heights = heights / length
        predicted[row, used] = (design @ heights + known)[used]
        spectra[row, -1] = heights[-1] if len(heights) > len(columns) else fixed
        # With Vb fitted, the coefficients hold (1 - Vb) alpha.
        share = 1.0 if held is not None or blood is None else 1 - spectra[row, -1]
        spectra[row, :-1] = heights[: len(columns)] / share if share > 0 else np.nan
    return spectra, predicted


def _numbers(spectra: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """(K1, VT, Ki, Vb) of spectra (n, g + 1)."""
    alpha = spectra[:, :-1]
    return np.stack(
        [alpha.sum(axis=1), (alpha / beta).sum(axis=1), alpha[:, 0], spectra[:, -1]], axis=1
    )


def _bootstrap(
    fitted: tuple[np.ndarray, np.ndarray, np.ndarray],
    problem: tuple[np.ndarray, np.ndarray | None, float | None],
    beta: np.ndarray,
    replicates: int,
) -> np.ndarray:
    """Covariance (n, 4, 4) of (K1, VT, Ki, Vb), diagonal: squares of `judge.bootstrap_sd`."""
    from igdd.kernels import judge

    curves, predicted, spread = fitted
    errors = judge.bootstrap_sd(
        lambda drawn: _numbers(_spectra(drawn, spread, *problem)[0], beta),
        curves,
        predicted,
        spread,
        fitted=LINES,
        replicates=replicates,
    )
    if problem[1] is None or problem[2] is not None:
        errors[:, 3] = 0.0 * errors[:, 0]  # Vb was not fitted
    return np.asarray(errors[:, :, None] ** 2 * np.eye(4))


def _notes(spectra: np.ndarray, beta: np.ndarray) -> dict[str, float]:
    """The lines of a single curve's spectrum: `alpha at half-life`, by decay constant in 1/s."""
    if len(spectra) != 1:
        return {}
    alpha = spectra[0, :-1]
    lines = np.flatnonzero(alpha > NOTHING * alpha.sum())
    return {f"alpha_at_{beta[line]:.4g}": float(alpha[line]) for line in lines}


MODELS = (
    Model(
        "spectral",
        predict,
        parameters=(
            Parameter("K1", "mL/cm3/min", help="delivery", start=(0.1,)),
            Parameter("VT", "mL/cm3", help="total distribution volume", start=(2.0,)),
            Parameter("Ki", "mL/cm3/min", help="alpha of the slowest component", start=(0.0,)),
            Parameter("Vb", "1", bounds=(0.0, 1.0), help="blood volume fraction", start=(0.05,)),
            KNOWN_DELAY,
        ),
        needs=("plasma", "blood"),
        also=("SA", "spectral analysis"),
        help="spectrum of exponentials by non-negative least squares",
        reference="doi:10.1038/jcbfm.1993.5",
        prepare=prepare,
        closed=True,
        options=(
            Option("slowest", "1/s", default=None, help="slow end of the spectrum"),
            Option("fastest", "1/s", default=FASTEST, help="fast end of the spectrum"),
            Option("components", "1", default=COMPONENTS, help="components of the spectrum"),
            Option("replicates", "1", default=REPLICATES, help="draws for the standard errors"),
        ),
    ),
)
