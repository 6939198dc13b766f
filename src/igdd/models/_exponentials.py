"""From coefficients and rates of exponentials to a model's own parameters, with their covariance.

A model says which columns and how many exponentials make its curve, how its parameters follow from
their coefficients and rates (`natural`), and the other way round (`canonical`). The solver fits
those, carries their covariance over to the parameters, and where a parameter has left its bounds
(a fraction above 1) fits that curve again within them.

Canonical parameters stand in the order c_1 .. c_l, a_1, theta_1, (a_2, theta_2,) delay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from igdd.declare import Parameter
from igdd.errors import InputError
from igdd.kinetics import Protocol, Solution, Solver, Status

if TYPE_CHECKING:
    from igdd.kernels.basis import Basis, Responses

Arrays = Sequence[np.ndarray]
TINY = 1e-20  # relative length of a complex step: its square is nothing beside 1
# Curves fitted together: what belongs to them stays in the cache. No power of two, at which the
# frames of an image would push one another out of it.
BLOCK = 31 * 64
SAME = 1e-12  # by how much the weights of two curves may differ and still be the same
# Up to so many curves of more frames than these are fitted with their delay from the starting
# values: tables over delays, rates and frames take up to a minute and gigabytes, which only maps
# repay.
FEW, LONG = 32, 100
DELAYS = (-10.0, 0.0, 6.0, 15.0, 30.0, 45.0)  # s, from which such a fit starts


@dataclass(frozen=True, kw_only=True)
class Form:
    """How a model's curve is a sum of fixed columns and exponential responses.

    parameters    as the model declares them
    predict       the model's curves, in SI
    source        role of the input that is convolved
    columns       role of each fixed column, or "integral": the running integral of the source
    held          the parameter that is a column's coefficient and may be held, or "": none
    exponentials  1 or 2
    fastest       rate [1/s] up to which exponentials are tabulated
    positive      whether coefficients must not be negative
    natural       canonical arrays, real or complex -> parameters; NaN where they are open
    canonical     parameters -> canonical arrays
    """

    parameters: tuple[Parameter, ...]
    predict: Callable[[np.ndarray, Protocol], np.ndarray]
    source: str
    columns: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    exponentials: int = 1
    fastest: float
    positive: bool = True
    natural: Callable[[Arrays], Arrays]
    canonical: Callable[[Arrays], Arrays]

    @property
    def names(self) -> tuple[str, ...]:
        """The model's parameters in their order."""
        return tuple(one.name for one in self.parameters)

    @property
    def bounds(self) -> np.ndarray:
        """Least and largest value (p, 2) of every parameter in SI units."""
        return np.array([np.multiply(one.bounds, _si(one)) for one in self.parameters])

    @property
    def known(self) -> np.ndarray:
        """Error (p,) of every parameter in SI units up to which it is known however small."""
        return np.array([one.known * _si(one) for one in self.parameters])

    @property
    def start(self) -> np.ndarray:
        """A value (p,) of every parameter in SI units from which a fit may start."""
        return np.array([one.start[0] * _si(one) for one in self.parameters])


def _si(parameter: Parameter) -> float:
    """A parameter's display unit in SI: these models show minutes, else SI units."""
    return 1 / 60 if parameter.unit.endswith("/min") else 1.0


def prepare(form: Form, protocol: Protocol) -> Solver:
    """Tables of a protocol's input, and the solver of curves (n, t) that uses them.

    A column's coefficient and the delay may be held at any value. Where another parameter is held,
    the solution ignores that but for the value itself: it is a start for a fit that heeds it, and
    its notes say so ("start_only": 1).
    """
    return _Solver(form=form, protocol=protocol, held=dict(protocol.held))


def _tables(form: Form, protocol: Protocol) -> Responses:
    """Tables of the input over the protocol's frames."""
    from igdd.kernels.basis import Column, tabulate

    curve = protocol.input(form.source)
    columns = []
    for role in form.columns:
        seen = curve if role == "integral" else protocol.input(role)
        columns.append(Column(seen.time, seen.values, role == "integral"))
    window = protocol.frames.start, protocol.frames.end, protocol.integration
    delay = _delay(form, protocol)
    return tabulate((curve.time, curve.values), tuple(columns), window, form.fastest, delay)


def _delay(form: Form, protocol: Protocol) -> tuple[float, float]:
    """Least and largest delay in s; the same where it is held or the model has none."""
    if "delay" not in form.names:
        return 0.0, 0.0
    if "delay" in protocol.held:
        return float(protocol.held["delay"]), float(protocol.held["delay"])
    low, high = form.bounds[form.names.index("delay")]
    return float(low), float(high)


@dataclass(frozen=True, kw_only=True)
class _Solver:
    """Solves curves; keeps the tables, and the basis of the weights it saw last."""

    form: Form
    protocol: Protocol
    held: dict[str, float]
    last: dict[str, tuple[np.ndarray, Basis]] = field(default_factory=dict)

    def __call__(self, curves: np.ndarray, sd: np.ndarray | None) -> Solution:
        """Fit curves (n, t) with standard deviations (t,), (n, t) or None."""
        curves = np.atleast_2d(curves)
        frames = self.protocol.frames.start.size
        if curves.shape[1] != frames:
            raise InputError(f"curves of {curves.shape[1]} frames; the protocol has {frames}")
        low, high = _delay(self.form, self.protocol)
        if low < high and len(curves) <= FEW and frames > LONG:
            return _from_starts(self.form, self.protocol, curves, sd)
        parts = []
        for rows, weight in _weightings(sd, curves.shape):
            basis = self._basis(weight, alone=len(curves[rows]) < 4)
            used = slice(None) if (weight > 0).all() else weight > 0
            parts.append(_fit_in_blocks(self.form, basis, curves[rows], used))
        parameters, covariance, status = _joined(parts)
        return self._hold(parameters, covariance, status)

    @cached_property
    def raw(self) -> Responses:
        """Tables of all frames, not weighted."""
        return _tables(self.form, self.protocol)

    def _basis(self, weight: np.ndarray, alone: bool) -> Basis:
        from igdd.kernels.basis import Basis, Responses

        if "basis" in self.last and np.array_equal(self.last["basis"][0], weight):
            return self.last["basis"][1]
        used, raw = weight > 0, self.raw
        if not used.all():
            raw = Responses(raw.responses[..., used], raw.columns[..., used], raw.grid)
        given = np.array([self.held.get(name, np.nan) for name in self.form.held])
        positive = np.full(given.size + 1, self.form.positive)
        basis = Basis(
            raw, weight[used], self.form.exponentials, (given, positive), reduce=not alone
        )
        self.last["basis"] = weight, basis
        return basis

    def _hold(self, parameters: np.ndarray, covariance: np.ndarray, status: np.ndarray) -> Solution:
        """The solution, with values in place of parameters that the search cannot hold."""
        notes = {}
        fitted = (status & Status.NOT_FITTED) == 0
        for number, name in enumerate(self.form.names):
            if name not in self.held or name == "delay" or name in self.form.held:
                continue
            parameters[fitted, number] = self.held[name]
            covariance[:, number] = covariance[:, :, number] = 0.0
            notes["start_only"] = 1.0
        return Solution(parameters=parameters, covariance=covariance, status=status, notes=notes)


def _from_starts(
    form: Form, protocol: Protocol, curves: np.ndarray, sd: np.ndarray | None
) -> Solution:
    """Curves (n, t) fitted from all combinations of starting values, without tables."""
    from igdd.kernels.levenberg import fit_curves

    held = np.array([protocol.held.get(name, np.nan) for name in form.names])
    free = np.isnan(held)
    starts = [
        DELAYS if one.name == "delay" else tuple(value * _si(one) for value in one.start)
        for one in form.parameters
    ]
    bounds = np.where(free[:, None], form.bounds, [-np.inf, np.inf])

    def predict(parameters: np.ndarray) -> np.ndarray:
        return form.predict(parameters, protocol)

    every = np.unique(np.where(free, np.array(list(product(*starts))), held), axis=0)
    found = fit_curves(predict, curves, sd, every, bounds, free=free, known=form.known)
    return Solution(**found._asdict())


def _weightings(
    sd: np.ndarray | None, shape: tuple[int, ...]
) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows that are weighted alike, and their weights (t,), the largest of which is 1."""
    from igdd.kernels.linear import weights

    if sd is None or np.ndim(sd) == 1:
        weight = weights(sd, (1, shape[1]))[0]
        yield slice(None), weight / weight.max()
        return
    each = weights(sd, shape)
    each = each / each.max(axis=1, keepdims=True)
    if (np.abs(each - each[0]) <= SAME).all():
        yield slice(None), each[0]
        return
    for row, weight in enumerate(each):
        yield slice(row, row + 1), weight


def _fit_in_blocks(
    form: Form, basis: Basis, curves: np.ndarray, used: slice | np.ndarray
) -> tuple[np.ndarray, ...]:
    """Parameters, covariance and status of curves weighted alike, in as many threads as numba has.

    Each curve's numbers are its own: they do not depend on the block or the thread.
    """
    import numba

    blocks = [curves[first : first + BLOCK] for first in range(0, max(len(curves), 1), BLOCK)]

    def fit(block: np.ndarray) -> tuple[np.ndarray, ...]:
        # An image has its frames far apart: brought together first, they turn three times faster.
        return _fit(form, basis, block[:, used].copy(order="K"))

    with ThreadPoolExecutor(max_workers=numba.get_num_threads()) as pool:
        parts = list(pool.map(fit, blocks) if len(blocks) > 1 else map(fit, blocks))
    return _judged(form, basis, curves[:, used], _joined(parts))


def _joined(parts: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    """Arrays of all parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _fit(form: Form, basis: Basis, curves: np.ndarray) -> tuple[np.ndarray, ...]:
    """Parameters (n, p), covariance (n, p, p) and status (n,), wherever the parameters may lie."""
    from igdd.kernels.basis_fit import sandwich

    solved = basis.solve(curves)
    with np.errstate(all="ignore"):
        parameters = np.stack(form.natural(list(solved.canonical.T)), axis=1)
        covariance = sandwich(_change(form.natural, solved.canonical), solved.covariance)
    return parameters, covariance, solved.status


def _judged(
    form: Form, basis: Basis, curves: np.ndarray, found: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, ...]:
    """What was found, within the bounds, with the status of what the data leave open."""
    from igdd.kernels.judge import poorly_identified

    parameters, covariance, status = found
    fitted = (status & Status.NOT_FITTED) == 0
    low, high = form.bounds.T
    # Where the search has lost a curve, or leaves a parameter open, that is not within either.
    with np.errstate(invalid="ignore"):
        beyond = ~((parameters >= low) & (parameters <= high)).all(axis=1) & fitted
    if beyond.any():
        again = _within_bounds(form, basis, curves[beyond], parameters[beyond])
        parameters[beyond], covariance[beyond], status[beyond] = again
    at_bound = (parameters == low) | (parameters == high)
    for row in np.flatnonzero(at_bound.any(axis=0)):
        covariance[at_bound[:, row], row, :] = covariance[at_bound[:, row], :, row] = 0.0
    # Where the form leaves a parameter open, nothing is known of it.
    unsure = np.isnan(parameters).any(axis=1)
    unsure |= poorly_identified(parameters, covariance, low=low, known=form.known)
    return parameters, covariance, status | np.where(fitted & unsure, Status.POORLY_IDENTIFIED, 0)


def _change(function: Callable[[Arrays], Arrays], values: np.ndarray) -> np.ndarray:
    """Derivatives (n, p, k) of a function of k arrays by each of them, by complex steps."""
    columns = []
    for number in range(values.shape[1]):
        moved = list(values.T.astype(complex))
        length = TINY * np.maximum(np.abs(values[:, number]), 1e-100)
        moved[number] = moved[number] + 1j * length
        columns.append(np.stack([np.imag(one) / length for one in function(moved)], axis=1))
    return np.stack(columns, axis=2)


def _within_bounds(
    form: Form, basis: Basis, curves: np.ndarray, parameters: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Fit curves whose parameters left the bounds again, within them, from the same tables."""
    from igdd.kernels.levenberg import fit_curves

    seen, squares = basis.project(curves)
    outside = np.sqrt(np.maximum(squares - np.einsum("nr,nr->n", seen, seen), 0.0))
    low, high = form.bounds.T
    # From the nearest corner, from there with what left the bounds begun anew, and all anew.
    near = np.clip(np.where(np.isfinite(parameters), parameters, form.start), low, high)
    anew = np.where(near == parameters, near, form.start)
    starts = np.stack([near, anew, np.broadcast_to(form.start, near.shape)], axis=1)
    for number, name in enumerate(form.names):
        if name in form.held or name == "delay":
            starts[:, :, number] = near[:, None, number]
    given = basis.tables.given
    free = np.array([name not in form.held for name in form.names])
    for name, value in zip(form.held, given, strict=True):
        if name and np.isnan(value):
            free[form.names.index(name)] = True
    if "delay" in form.names and basis.tables.responses.shape[2] == 2:
        free[form.names.index("delay")] = False

    # What lies outside the tables' space is beyond any parameters: a sample of its own.
    values = np.concatenate([seen, outside[:, None]], axis=1)

    def predict(trial: np.ndarray) -> np.ndarray:
        curve, _ = basis.predict(np.stack(form.canonical(list(trial.T)), axis=1))
        return np.concatenate([curve, np.zeros((len(curve), 1))], axis=1)

    def jacobian(trial: np.ndarray) -> np.ndarray:
        _, slopes = basis.predict(np.stack(form.canonical(list(trial.T)), axis=1))
        with np.errstate(all="ignore"):
            slopes = slopes @ _change(form.canonical, trial)
        return np.concatenate([slopes, np.zeros((len(slopes), 1, trial.shape[1]))], axis=1)

    found = fit_curves(
        predict, values, None, starts, form.bounds, free=free, jacobian=jacobian, known=form.known
    )
    fitted = (np.einsum("npp->np", found.covariance) != 0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = (values.shape[1] - fitted) / np.maximum(basis.frames - fitted, 0)
    runs = basis.residual_runs(curves, found.predicted[:, :-1])
    status = found.status | np.where(runs, Status.RESIDUAL_RUNS, 0)
    return found.parameters, found.covariance * scale[:, None, None], status
