"""Multilinear analysis: a tissue as a linear sum of integrals of its input and of itself.

A compartment model's differential equation, integrated once or twice, has no derivative left and is
linear in its coefficients g: C = sum g_j X_j + sum g_i A_i C, where X holds the input and its
integrals, and A_i integrates the tissue's own frames. With noise e in the frames the regression
errs by B e, B = 1 - sum g_i A_i, to first order: errors add up along the curve, and the covariance
of plain least squares would be too small by a factor that grows with the number of frames. Here

    cov g = s^2 H B S B' H',    H = (X' S^-1 X)^-1 X' S^-1,    S = diag(sd^2)

and s^2 is such that the residuals have their expected size. The model's own curve, from the input
alone, is B^-1 sum g_j X_j. The noise of the columns biases the coefficients in second order
(Ichise et al., J Cereb Blood Flow Metab 2002;22:1271).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.kernels import judge
from igdd.kernels.graphical import find_gap, running_integral, running_weights
from igdd.kernels.linear import solve_linear

# Coefficients (n, k) -> natural parameters (n, p) and their derivatives (n, p, k).
Natural = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

# Numbers held at once for the errors' propagation.
BATCH = 2_000_000


class Estimates(NamedTuple):
    """Natural parameters (n, p) of n curves, covariance (n, p, p), status, predicted (n, t)."""

    parameters: np.ndarray
    covariance: np.ndarray
    status: np.ndarray
    predicted: np.ndarray


class Columns(NamedTuple):
    """What the tissue is a sum of.

    given  columns (t,) of the input, first in the order of the coefficients
    own    operators (t, t) on the tissue's frames, as `operators` gives them, behind them
    """

    given: Sequence[np.ndarray]
    own: Sequence[np.ndarray]


def fit(
    columns: Columns,
    values: np.ndarray,
    sd: np.ndarray | None,
    used: np.ndarray,
    natural: Natural,
) -> Estimates:
    """Natural parameters of curves (n, t) by least squares over the frames `used` (t,).

    sd  (t,) or (n, t): how the frames compare; infinite: the frame is not used. The size of the
        noise comes from the residuals.

    A curve with a missing value, with zeros only or with columns that cannot be told apart is NaN
    with the bit NOT_FITTED.
    """
    count = len(columns.given) + len(columns.own)
    if used.sum() <= count:
        raise InputError(
            f"{used.sum()} of {used.size} frames lie between start and end; expected more than "
            f"{count}, the number of coefficients"
        )
    usable = np.isfinite(values).all(axis=1) & (values != 0).any(axis=1)
    tissue = np.where(usable[:, None], values, 0.0)
    design = np.stack(
        [np.broadcast_to(column, tissue.shape) for column in columns.given]
        + [tissue @ operator.T for operator in columns.own],
        axis=-1,
    )
    masked = np.where(used, judge.deviations(sd, tissue.shape), np.inf)
    solved = solve_linear(design, tissue, masked)
    fitted = usable & ((solved.status & judge.NOT_FITTED) == 0)
    spread, predicted = _propagated(columns, tissue, design, masked, solved.coefficients, fitted)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        parameters, derivative = natural(solved.coefficients)
        covariance = derivative @ spread @ np.swapaxes(derivative, 1, 2)
    fitted &= np.isfinite(parameters).all(axis=1)
    unsure = judge.poorly_identified(parameters, covariance)
    runs = judge.residual_runs(values, predicted, sd)
    status = np.where(fitted, 0, judge.NOT_FITTED)
    status |= np.where(fitted & unsure, judge.POORLY_IDENTIFIED, 0)
    status |= np.where(fitted & runs, judge.RESIDUAL_RUNS, 0)
    return Estimates(
        parameters=np.where(fitted[:, None], parameters, np.nan),
        covariance=np.where(fitted[:, None, None], covariance, np.nan),
        status=status,
        predicted=np.where(fitted[:, None], predicted, np.nan),
    )


def _propagated(
    columns: Columns,
    tissue: np.ndarray,
    design: np.ndarray,
    sd: np.ndarray,
    coefficients: np.ndarray,
    fitted: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Covariance (n, k, k) of the coefficients and the model's own curves (n, t)."""
    count, frames = tissue.shape
    covariance = np.full((count, coefficients.shape[1], coefficients.shape[1]), np.nan)
    predicted = np.full(tissue.shape, np.nan)
    rows = np.flatnonzero(fitted)
    for part in np.array_split(rows, max(1, rows.size * frames * frames // BATCH)):
        if part.size:
            covariance[part], predicted[part] = _propagated_part(
                columns, tissue[part], design[part], sd[part], coefficients[part]
            )
    return covariance, predicted


def _propagated_part(
    columns: Columns,
    tissue: np.ndarray,
    design: np.ndarray,
    sd: np.ndarray,
    coefficients: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    used = np.isfinite(sd)
    weight = np.where(used, 1 / sd, 0.0)
    # A frame that is not used stands in the integrals all the same, with the largest error known.
    noise = np.where(used, sd, np.where(used, sd, 0.0).max(axis=1, keepdims=True))
    given = len(columns.given)
    frames = tissue.shape[1]
    own = np.reshape(columns.own, (-1, frames, frames))
    operator = np.einsum("nk,kij->nij", coefficients[:, given:], own)
    carried = np.eye(frames) - operator
    spread = weight[:, :, None] * carried * noise[:, None, :]
    basis, triangle = np.linalg.qr(weight[:, :, None] * design)
    inside = np.swapaxes(basis, 1, 2) @ spread
    residuals = weight * (tissue - np.einsum("ntk,nk->nt", design, coefficients))
    expected = np.sum(spread**2, axis=(1, 2)) - np.sum(inside**2, axis=(1, 2))
    variance = np.sum(residuals**2, axis=1) / expected
    influence = np.linalg.solve(triangle, inside)
    covariance = variance[:, None, None] * (influence @ np.swapaxes(influence, 1, 2))
    source = np.einsum(
        "nk,kt->nt", coefficients[:, :given], np.reshape(columns.given, (-1, frames))
    )
    return covariance, np.where(used, _own_curve(operator, source, tissue, used), np.nan)


def _own_curve(
    operator: np.ndarray, source: np.ndarray, tissue: np.ndarray, used: np.ndarray
) -> np.ndarray:
    """Curves (n, t) that solve C = source + operator C in the frames used; the others measured."""
    curves = tissue.copy()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for frame in range(tissue.shape[1]):
            before = np.einsum("nj,nj->n", operator[:, frame, :frame], curves[:, :frame])
            own = (source[:, frame] + before) / (1 - operator[:, frame, frame])
            curves[:, frame] = np.where(used[:, frame], own, tissue[:, frame])
    return curves


def check_in_a_row(start: np.ndarray, end: np.ndarray, allowed: float = 0.0) -> None:
    """Refuse frames further apart than `allowed` s: what the tissue held between is not known."""
    gap = find_gap(start, end, allowed)
    if gap >= 0:
        raise InputError(
            f"frame {gap + 1} starts at {start[gap]:g} s, the one before it ends at "
            f"{end[gap - 1]:g} s; expected frames in a row, since the tissue's own integral is "
            "needed; give the option gap to bridge a short one by a straight line, or fit a "
            "compartment model"
        )


def once(values: np.ndarray, start: np.ndarray, end: np.ndarray, integration: str) -> np.ndarray:
    """Running integral (n, t) of a tissue's frames (n, t), over the frames.

    >>> once(np.array([[2.0, 3.0]]), np.array([0.0, 10.0]), np.array([10.0, 30.0]), "exact")
    array([[10., 50.]])
    """
    return running_integral(values, running_weights(start, end, integration))


def twice(values: np.ndarray, start: np.ndarray, end: np.ndarray, integration: str) -> np.ndarray:
    """Integral of the running integral (n, t) of a tissue's frames, over the frames.

    For "exact" it is the mean over the frame of a tissue that is level within each frame: at u into
    a frame of length h the running integral is A + C u, whose integral to u has the mean
    A h / 2 + C h^2 / 6.

    >>> twice(np.array([[6.0]]), np.array([0.0]), np.array([10.0]), "exact")
    array([[100.]])
    """
    weights = running_weights(start, end, integration)
    whole = running_integral(running_integral(values, weights), weights)
    if integration == "trapezium":
        return whole
    # The mean A h / 2 + C h^2 / 4 of the running integral was taken as level over the frame.
    return np.asarray(whole - values * (end - start) ** 2 / 12)


def operators(
    start: np.ndarray, end: np.ndarray, integration: str
) -> tuple[np.ndarray, np.ndarray]:
    """`once` and `twice` as lower triangular matrices (t, t) that act on the frames of a tissue."""
    each = np.eye(start.size)
    return once(each, start, end, integration).T, twice(each, start, end, integration).T
