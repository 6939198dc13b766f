"""Tables of exponential responses: made once for an input, used for every curve.

An input's convolution with exp(-theta t) over the frames is tabulated with its exact derivative by
theta, and by the delay where that is to be found, on a grid even in u = log(1 + theta / scale):
logarithmic for fast rates, linear towards theta = 0, which is a node. `igdd.kernels.basis_fit`
fits curves from such tables.

All tabulated curves lie, to within the noise of arithmetic, in a space of far fewer dimensions than
there are frames. Tables and curves are projected onto an orthonormal basis of it, which changes no
sum of squares but by a constant, and makes the time of a fit independent of the number of frames.
"""

from __future__ import annotations

from itertools import chain, combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.kernels import judge
from igdd.kernels.convolve import Window, convolve, convolve_with_derivative, sample

if TYPE_CHECKING:
    from igdd.kernels.basis_search import Search

SLOWEST = 0.3  # scale of theta times the length of the scan
STEP = 0.02  # of u: the interpolated response is good to 1e-9
STEP_DELAYED = 0.12  # 1e-6: beside a delay, the input's knots rule
SEARCH_STEP = 0.3  # of u: the sum of squares is smooth over this
SEARCH_STEP_DELAYED = 0.6
SHORTEST_DELAY_STEP, LONGEST_DELAY_STEP = 0.25, 0.5  # s
SEARCH_DELAY = 2.0  # s
MANY = 1_000_000  # pairs of knot and edge that are looked through
APART = 1e-6  # s: nearer bends are one
EVEN = 1e-4  # of a step
NUDGE = 1e-3  # s, for central differences by the delay: the curves have few kinks in it
# Directions with a singular value below this share of the largest are left out of the projection.
NEGLIGIBLE = 1e-8
NEGLIGIBLE_DELAYED = 1e-5
TOGETHER = 4  # numbers of double precision that a processor's register holds

PARALLEL = 1e-6  # sine of the angle below which two tabulated curves are one


class Column(NamedTuple):
    """A fixed column: an input itself over the frames, or its running integral."""

    time: np.ndarray
    values: np.ndarray
    integrated: bool


class Responses(NamedTuple):
    """Tables over the frames, not weighted yet.

    responses, columns, grid   as in `igdd.kernels.response_table.Tables`, r = frames
    """

    responses: np.ndarray
    columns: np.ndarray
    grid: np.ndarray


class Solved(NamedTuple):
    """Canonical parameters (n, p), their covariance (n, p, p) and status (n,)."""

    canonical: np.ndarray
    covariance: np.ndarray
    status: np.ndarray


def tabulate(
    source: tuple[np.ndarray, np.ndarray],
    columns: tuple[Column, ...],
    window: Window,
    fastest: float,
    delay: tuple[float, float],
) -> Responses:
    """Tables of an input (time, values) up to the rate `fastest` [1/s], at delays from low to high.

    Where low is high the delay is held there; else it is an unknown.
    """
    start, end, _ = window
    span = float(end[-1] - min(start[0], source[0][0] + delay[0]))
    scale = SLOWEST / span
    delayed = delay[1] > delay[0]
    top = np.log1p(fastest / scale)
    nodes = int(np.ceil(top / (STEP_DELAYED if delayed else STEP))) + 1
    u = np.linspace(0.0, top, nodes)
    later, late_step = np.array([delay[0]]), 1.0
    if delayed:
        later = _delays(source[0], window, delay)
        late_step = float(later[1] - later[0])
    rates = scale * np.expm1(u)
    stretch = (rates + scale) * u[1]
    responses = _responses(source, window, rates, later)
    responses[:, :, 1::2] *= stretch[:, None, None]
    responses[:, :, 2:] *= late_step
    fixed = np.zeros((later.size, len(columns), 3, start.size))
    for number, column in enumerate(columns):
        fixed[:, number] = _column(column, window, later, delayed)
    fixed[:, :, 1:] *= late_step
    grid = np.array([u[1], late_step, later[0], later[-1], scale, SEARCH_DELAY])
    return Responses(responses, fixed, grid)


def _delays(knots: np.ndarray, window: Window, delay: tuple[float, float]) -> np.ndarray:
    """Even delays (d,) from low to high, or up to a step beyond.

    Curves bend at the delays at which a knot of the input meets what is sampled. Where all of
    these are even, they are nodes.
    """
    low, high = delay
    finest = min(np.min(window[1] - window[0]), np.min(np.diff(knots)))
    step = float(np.clip(finest / 2, SHORTEST_DELAY_STEP, LONGEST_DELAY_STEP))
    bends = _bends(knots, window, delay)
    lattice = _lattice(bends)
    shorter = lattice / np.ceil(lattice / step - EVEN)
    if not shorter >= SHORTEST_DELAY_STEP / 2:
        return np.linspace(low, high, int(np.ceil((high - low) / step)) + 1)
    first = bends[0] - np.ceil((bends[0] - low) / shorter - EVEN) * shorter
    return np.asarray(first + shorter * np.arange(np.ceil((high - first) / shorter - EVEN) + 1))


def _bends(knots: np.ndarray, window: Window, delay: tuple[float, float]) -> np.ndarray:
    """Delays between low and high at which a knot meets the edge of a frame, or its middle where
    that is what is sampled; none if too many."""
    start, end, integration = window
    seen = (start, end) if integration == "exact" else ((start + end) / 2,)
    edges = np.unique(np.concatenate(seen))
    if edges.size * knots.size > MANY:
        return np.empty(0)
    bends = np.unique(edges[:, None] - knots)
    bends = bends[(bends >= delay[0]) & (bends <= delay[1])]
    return bends[np.diff(bends, prepend=-np.inf) > APART]


def _lattice(bends: np.ndarray) -> float:
    """Largest step of which all differences are multiples; NaN where there is none."""
    if bends.size < 2:
        return np.nan
    span = bends[-1] - bends[0]
    step = float(span / np.rint(span / np.diff(bends).min()))
    multiples = (bends - bends[0]) / step
    return step if np.allclose(multiples, multiples.round(), rtol=0, atol=EVEN) else np.nan


def _responses(
    source: tuple[np.ndarray, np.ndarray], window: Window, rates: np.ndarray, later: np.ndarray
) -> np.ndarray:
    """(delays, nodes, 2 or 4, t): value, slope by rate, and both differentiated by the delay."""
    # Rates outside, delays inside: the recursion over the input's knots is done once for a rate.
    every = np.repeat(rates, later.size)
    shape = (rates.size, later.size, -1)

    def at(shift: float) -> np.ndarray:
        delays = np.tile(later + shift, rates.size)
        both = convolve_with_derivative(*source, window, every, delays)
        return np.stack([part.reshape(shape) for part in both], axis=2).swapaxes(0, 1)

    here = at(0.0)
    if later.size == 1:
        return np.ascontiguousarray(here)
    change = (at(NUDGE) - at(-NUDGE)) / (2 * NUDGE)
    return np.concatenate([here, change], axis=2)


def _column(column: Column, window: Window, later: np.ndarray, delayed: bool) -> np.ndarray:
    """(delays, 3, t): a fixed column, and its slopes towards later and earlier delays."""

    def at(shift: float) -> np.ndarray:
        if column.integrated:
            still = np.zeros(later.size)
            return np.asarray(convolve(column.time, column.values, window, still, later + shift))
        return sample(column.time, column.values, window, later + shift)

    def slope(way: float) -> np.ndarray:
        # From one side and right to the second order: a knot of the input may be on the other.
        return np.asarray((4 * at(way) - at(2 * way) - 3 * at(0.0)) / (2 * way))

    here = at(0.0)
    if not delayed:
        return np.stack([here, np.zeros_like(here), np.zeros_like(here)], axis=1)
    return np.stack([here, slope(NUDGE), slope(-NUDGE)], axis=1)


class Basis:
    """Tables weighted, projected and ready for the search: solves curves of one weighting."""

    def __init__(
        self,
        raw: Responses,
        weight: np.ndarray,
        exponentials: int,
        conditions: tuple[np.ndarray, np.ndarray],
        *,
        reduce: bool = True,
    ) -> None:
        """Weights (t,); conditions: `given` (l,) and `positive` (l + 1,) of `Tables`."""
        from igdd.kernels.response_table import Tables

        given, positive = conditions
        self.exponentials = exponentials
        self.frames = int(np.count_nonzero(weight))
        delayed = raw.responses.shape[2] == 4
        self.projection = np.diag(weight)
        if reduce:
            least = NEGLIGIBLE_DELAYED if delayed else NEGLIGIBLE
            self.projection = self.projection @ _span(raw, weight, least)
        responses, columns = raw.responses @ self.projection, raw.columns @ self.projection
        self.weight = weight
        step = SEARCH_STEP_DELAYED if delayed else SEARCH_STEP
        nodes = _every(responses.shape[1], step / raw.grid[0])
        late = _every(responses.shape[0], SEARCH_DELAY / raw.grid[1])
        self.search = _search(
            nodes * raw.grid[0],
            raw.grid[2] + raw.grid[1] * late,
            (responses[late][:, nodes, 0], columns[late][:, :, 0]),
            conditions,
            exponentials == 2,
        )
        self.tables = Tables(
            responses=np.ascontiguousarray(responses),
            columns=np.ascontiguousarray(columns),
            grid=raw.grid,
            given=given,
            positive=positive,
        )

    def project(self, curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Curves (n, t) on the basis (n, r), and the weighted sum of their squares (n,)."""
        values = np.ascontiguousarray(curves, dtype=float)
        with np.errstate(invalid="ignore", over="ignore"):
            squares = np.square(values) @ np.square(self.weight)
            return values @ self.projection, squares

    def solve(self, curves: np.ndarray) -> Solved:
        """The best fit of each curve (n, t), with what its residuals say of it."""
        from igdd.kernels.basis_fit import fit_all

        values = np.ascontiguousarray(curves, dtype=float)
        bases = np.square(self.weight), self.projection
        canonical, covariance, status, runs = fit_all(
            self.tables, self.search, values, bases, self.exponentials
        )
        few = judge.too_few_runs(*runs.T)
        return Solved(canonical, covariance, status | np.where(few, judge.RESIDUAL_RUNS, 0))

    def residual_runs(self, curves: np.ndarray, projected: np.ndarray) -> np.ndarray:
        """Whether curves (n, t) stay too long on one side of their fits, projected (n, r)."""
        predicted = projected @ self.projection.T / np.square(self.weight)
        return judge.residual_runs(curves, predicted)

    def predict(self, canonical: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Projected curves (n, r) of canonical parameters (n, p), and the derivatives (n, r, p)."""
        from igdd.kernels.basis_fit import predict_all

        values = np.ascontiguousarray(canonical, dtype=float)
        found = predict_all(self.tables, values, self.exponentials)
        return found[..., 0], found[..., 1:]


def _span(raw: Responses, weight: np.ndarray, negligible: float) -> np.ndarray:
    """Orthonormal basis (t, r) of all tabulated curves and slopes, weighted.

    Directions of nothing fill it up to what a processor computes at once.
    """
    size = weight.size
    part = raw.responses[:: max(1, raw.responses.shape[0] // 60), ::3]
    rows = np.concatenate([part.reshape(-1, size), raw.columns.reshape(-1, size)]) * weight
    length = np.linalg.norm(rows, axis=1)
    rows = rows[length > 0] / length[length > 0, None]
    if not len(rows):
        return np.eye(size)
    _, values, directions = np.linalg.svd(rows, full_matrices=False)
    kept = directions[values > negligible * values[0]].T
    return np.pad(kept, ((0, 0), (0, -kept.shape[1] % TOGETHER)))


def _every(count: int, step: float) -> np.ndarray:
    """Indices about `step` apart from the first to the last of `count`."""
    wanted = max(int(np.ceil((count - 1) / max(step, 1.0))), min(count - 1, 1)) + 1
    return np.unique(np.linspace(0, count - 1, wanted).round().astype(int))


def _search(
    nodes: np.ndarray,
    delays: np.ndarray,
    rows: tuple[np.ndarray, np.ndarray],
    conditions: tuple[np.ndarray, np.ndarray],
    pairs: bool,
) -> Search:
    """What the search needs of the responses (d, m, r) and columns (d, l, r) at its places."""
    from igdd.kernels.basis_search import COLUMNS, FEW, Search

    (responses, columns), (given, positive) = rows, conditions
    late, count, size = responses.shape
    if len(given) > COLUMNS:
        raise InputError(f"a curve of {len(given)} columns; expected at most {COLUMNS}")
    length = np.linalg.norm(responses, axis=2, keepdims=True)
    units = np.divide(responses, length, out=np.zeros_like(responses), where=length > 0)
    free = [one for one in range(len(given)) if np.isnan(given[one])]
    masks = [sum(1 << one for one in kept) for kept in _subsets(free, positive)]
    seeker = np.zeros((late, count + COLUMNS + 1, size))
    seeker[:, -1] = np.einsum("dlr,l->dr", columns, np.nan_to_num(given))
    turns = np.zeros((len(masks), late, COLUMNS, COLUMNS))
    shares, bends = np.zeros_like(turns), np.zeros((len(masks), late, count, 1 + COLUMNS))
    tolls = np.zeros((len(masks), late, count, COLUMNS))
    grams = np.zeros((len(masks), late, count, count) if pairs else (1, 1, 1, 1))
    for number, kept in enumerate(_subsets(free, positive)):
        bound = [one for one in kept if positive[one]]
        for d in range(late):
            mix = _orthonormal(columns[d, kept])
            basis = mix @ columns[d, kept]
            shadow = units[d] @ basis.T
            beside = units[d] - shadow @ basis
            rest = np.linalg.norm(beside, axis=1)
            longer = 1 / np.where(rest > PARALLEL, rest, np.inf)
            beside *= longer[:, None]
            if number == 0:
                seeker[d, :count], seeker[d, count : count + len(basis)] = beside, basis
            whole = seeker[d, count:-1]
            turns[number, d, : len(basis)] = basis @ whole.T
            amounts = np.zeros((COLUMNS, len(mix)))
            amounts[kept] = mix.T
            amounts = np.where(np.isin(np.arange(COLUMNS), bound)[:, None], amounts, 0.0)
            shares[number, d] = amounts @ basis @ whole.T
            bends[number, d, :, 0] = np.einsum("mr,mr->m", beside, seeker[d, :count])
            bends[number, d, :, 1:] = beside @ whole.T
            tolls[number, d] = longer[:, None] * (shadow @ amounts.T)
            if pairs:
                grams[number, d] = beside @ beside.T
    few = (seeker, np.einsum("dkr,dr->dk", seeker, seeker[:, -1]), turns, shares, bends, tolls)
    least = np.array([0.0 if positive[-1] else -np.inf])
    return Search(
        nodes,
        delays,
        np.ascontiguousarray(units),
        np.array(masks),
        *(np.ascontiguousarray(one, dtype=FEW) for one in (*few, grams, least)),
    )


def _subsets(free: list[int], positive: np.ndarray) -> list[list[int]]:
    """Which free columns a fit may need: all, and all that is left without some of those that must
    not be negative."""
    may_go = [one for one in free if positive[one]]
    gone = chain.from_iterable(combinations(may_go, count) for count in range(len(may_go) + 1))
    return [[one for one in free if one not in without] for without in gone]


def _orthonormal(rows: np.ndarray) -> np.ndarray:
    """Mixture (k, l) of rows (l, r) that makes them orthonormal, without those that depend."""
    _, values, directions = np.linalg.svd(rows.T, full_matrices=False)
    kept = values > PARALLEL * max(values, default=0.0)
    return np.asarray(directions[kept] / values[kept, None])
