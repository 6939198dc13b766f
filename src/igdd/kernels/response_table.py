"""Tables of exponential responses, as the fits of many curves see them, and the room of one fit.

A curve is sum_l c_l L_l(d) + sum_j a_j B(u_j, d): columns L, the input's convolution B with
exp(-theta t), theta = scale (exp(u) - 1), and a common delay d. B and its derivatives stand in a
table over u (and d), between whose nodes cubic Hermite polynomials run.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.kernels.compiled import INLINE, JIT, njit

# Sums may be taken in any order; nothing else about the arithmetic is given away.
SUMS = {"reassoc", "contract"}
ON_NODE = 1e-9  # of a step: nearer to a node is on it
# Rows that a column of the fit takes in the work: its value and derivatives.
VALUE, BY_U, BY_UU, BY_D, BY_UD, BY_DD, PARTS = range(7)
# The vectors of the work: right-hand side and solution, slope and step of the unknowns, where the
# step begins, the best places of these columns and of all, and what brings rows to unit length.
RIGHT, DOWNHILL, STEP, ORIGIN, KEPT, BEST, SCALES = range(7)


class Tables(NamedTuple):
    """Everything that the curves share. r: size of a (projected) curve.

    responses    (delays, nodes, 2 or 4, r): B, h dB/du, and with delays k dB/dd, h k d2B/du dd
    columns      (delays, l, 3, r): L, k dL/dd towards later and towards earlier delays: L bends
                 where a knot of the input meets the edge of a frame
    grid         h, k: steps of u and d; least and largest d; scale of theta; largest step of d
    given        (l,) coefficients that are held, NaN where free
    positive     (l + 1,) whether a coefficient must not be negative; the last: of the exponentials
    """

    responses: np.ndarray
    columns: np.ndarray
    grid: np.ndarray
    given: np.ndarray
    positive: np.ndarray


class Work(NamedTuple):
    """Room for one curve at a time. k columns and exponentials, x = exponentials + 1 unknowns.

    rows          (6 k + x + 1, r) value and derivatives of each column, then the curve's
                  derivatives by the unknowns, then the residual
    between       (12, r) the table's sides at a delay: value, first and second slope by it
    use           (k,) 1 free, 2 given, 0 left out
    order         (k,) which column stands where among the free ones
    coefficients  (k,)
    place         (x,) u of each exponential, and d
    moving        (x,) whether an unknown is in use and not pushed out at a bound
    factor        (k, k) Cholesky factor of the free columns' products
    matrices      (5, s, s) products, second derivatives (exact, rough), a step's matrix and factor
    vectors       (7, s) RIGHT to SCALES; STEP serves for variances once the fit is done
    hermite       (2, 12)
    scale         (1,) one over the curve's length
    names         (3, s) numbers of what was fitted, among the rows and the canonical parameters;
                  and whether it was, or lies at a bound
    kept_use      (k,) of the best fit so far
    tried         (2, l) which columns were left out, and taken in
    """

    rows: np.ndarray
    between: np.ndarray
    use: np.ndarray
    order: np.ndarray
    coefficients: np.ndarray
    place: np.ndarray
    moving: np.ndarray
    factor: np.ndarray
    matrices: np.ndarray
    vectors: np.ndarray
    hermite: np.ndarray
    scale: np.ndarray
    names: np.ndarray
    kept_use: np.ndarray
    tried: np.ndarray


@njit(**INLINE)
def put_in_the_middle(tables: Tables, place: np.ndarray) -> None:
    """Where a fit is before anything is known: rates half way up the table, and the least delay."""
    last = place.size - 1
    for x in range(last):
        place[x] = tables.grid[0] * (tables.responses.shape[1] - 1) / 2
    place[last] = tables.grid[2]


@njit(**JIT)
def room(tables: Tables, exponentials: int) -> Work:
    """Room for fits with these tables."""
    fixed, size = tables.columns.shape[1], tables.responses.shape[3]
    terms, unknowns = fixed + exponentials, exponentials + 1
    rows = np.zeros((PARTS * terms + unknowns + 1, size))
    for column in range(fixed):
        rows[PARTS * column] = tables.columns[0, column, 0]
    place = np.empty(unknowns)
    put_in_the_middle(tables, place)
    return Work(
        rows,
        np.zeros((12, size)),
        np.zeros(terms, dtype=np.int64),
        np.zeros(terms, dtype=np.int64),
        np.zeros(terms),
        place,
        np.zeros(unknowns, dtype=np.bool_),
        np.zeros((terms, terms)),
        np.zeros((5, terms + unknowns, terms + unknowns)),
        np.zeros((7, terms + unknowns)),
        np.zeros((2, 12)),
        np.zeros(1),
        np.zeros((3, terms + unknowns), dtype=np.int64),
        np.zeros(terms, dtype=np.int64),
        np.zeros((2, fixed), dtype=np.bool_),
    )


# Rows are named by their number: a slice for each would cost more than the sum.
@njit(fastmath=SUMS, **INLINE)
def dot(rows: np.ndarray, one: int, other: int) -> float:
    """Sum of products of two rows."""
    total = 0.0
    for i in range(rows.shape[1]):
        total += rows[one, i] * rows[other, i]
    return total


@njit(fastmath=SUMS, **INLINE)
def add(rows: np.ndarray, target: int, amount: float, source: int) -> None:
    """Add a multiple of one row to another."""
    for i in range(rows.shape[1]):
        rows[target, i] += amount * rows[source, i]


@njit(**INLINE)
def copy(target: np.ndarray, source: np.ndarray, count: int) -> None:
    """Put the first values of a vector where those of another are."""
    for i in range(count):
        target[i] = source[i]


@njit(**INLINE)
def _weights(
    position: float, step: float, count: int, weights: np.ndarray, one: int, left: bool = False
) -> int:
    """Node below a position on a grid from 0, and the Hermite weights there and of two slopes.

    A node itself belongs to what follows it, or to what is left of it.
    """
    below = int(position / step + ON_NODE)
    below -= left and position / step - below < ON_NODE
    node = min(max(below, 0), count - 2)
    s = position / step - node
    weights[one, 0] = (1 + 2 * s) * (1 - s) * (1 - s)
    weights[one, 1] = s * (1 - s) * (1 - s)
    weights[one, 2] = s * s * (3 - 2 * s)
    weights[one, 3] = s * s * (s - 1)
    weights[one, 4] = 6 * s * (s - 1) / step
    weights[one, 5] = (3 * s * s - 4 * s + 1) / step
    weights[one, 6] = -weights[one, 4]
    weights[one, 7] = (3 * s * s - 2 * s) / step
    weights[one, 8] = (12 * s - 6) / (step * step)
    weights[one, 9] = (6 * s - 4) / (step * step)
    weights[one, 10] = -weights[one, 8]
    weights[one, 11] = (6 * s - 2) / (step * step)
    return node


@njit(fastmath=SUMS, **INLINE)
def _respond(table: np.ndarray, node: int, weights: np.ndarray, rows: np.ndarray, row: int) -> None:
    """B and its two derivatives by u, from the nodes on both sides."""
    for order in range(3):
        w0, w1 = weights[0, 4 * order], weights[0, 4 * order + 1]
        w2, w3 = weights[0, 4 * order + 2], weights[0, 4 * order + 3]
        for i in range(rows.shape[1]):
            below = w0 * table[0, node, 0, i] + w1 * table[0, node, 1, i]
            above = w2 * table[0, node + 1, 0, i] + w3 * table[0, node + 1, 1, i]
            rows[row + order, i] = below + above


@njit(fastmath=SUMS, **INLINE)
def _respond_later(
    table: np.ndarray, node: tuple[int, int], weights: np.ndarray, work: Work, row: int
) -> None:
    """B and its derivatives by u and d, from the (delay, node) below and above."""
    # One sum to a loop: the compiler takes several elements at once only where it sees that no
    # array lies over another.
    late, low = node
    rows, between = work.rows, work.between
    for order in range(3):
        w0, w1 = weights[1, 4 * order], weights[1, 4 * order + 1]
        w2, w3 = weights[1, 4 * order + 2], weights[1, 4 * order + 3]
        for side in range(4):
            # side 0, 1: value and slope at the node below, 2, 3: above.
            at, kind = low + side // 2, side % 2
            for i in range(rows.shape[1]):
                early = w0 * table[late, at, kind, i] + w1 * table[late, at, kind + 2, i]
                after = w2 * table[late + 1, at, kind, i] + w3 * table[late + 1, at, kind + 2, i]
                between[4 * order + side, i] = early + after
    for part in range(PARTS):
        order = 0 if part < BY_D else (1 if part < BY_DD else 2)
        slope = 4 * (part - (0 if part < BY_D else BY_D if part < BY_DD else BY_DD))
        w0, w1 = weights[0, slope], weights[0, slope + 1]
        w2, w3 = weights[0, slope + 2], weights[0, slope + 3]
        one = 4 * order
        for i in range(rows.shape[1]):
            below = w0 * between[one, i] + w1 * between[one + 1, i]
            above = w2 * between[one + 2, i] + w3 * between[one + 3, i]
            rows[row + part, i] = below + above


@njit(fastmath=SUMS, **INLINE)
def _columns_later(columns: np.ndarray, late: int, weights: np.ndarray, rows: np.ndarray) -> None:
    """The fixed columns and their derivatives by d."""
    for column in range(columns.shape[1]):
        for order in range(3):
            row = PARTS * column + (VALUE if order == 0 else BY_D if order == 1 else BY_DD)
            w0, w1 = weights[1, 4 * order], weights[1, 4 * order + 1]
            w2, w3 = weights[1, 4 * order + 2], weights[1, 4 * order + 3]
            for i in range(rows.shape[1]):
                below = w0 * columns[late, column, 0, i] + w1 * columns[late, column, 1, i]
                above = w2 * columns[late + 1, column, 0, i] + w3 * columns[late + 1, column, 2, i]
                rows[row, i] = below + above


@njit(**INLINE)
def evaluate(tables: Tables, work: Work, left: bool = False) -> None:
    """Values and derivatives of all columns in use at the work's place.

    left  whether derivatives at a node of the delay, where columns may bend, are those towards
          earlier delays
    """
    delayed = tables.responses.shape[2] == 4
    fixed = tables.columns.shape[1]
    exponentials = work.use.size - fixed
    late = 0
    if delayed:
        since = work.place[exponentials] - tables.grid[2]
        late = _weights(since, tables.grid[1], tables.responses.shape[0], work.hermite, 1, left)
        _columns_later(tables.columns, late, work.hermite, work.rows)
    for j in range(exponentials):
        if work.use[fixed + j] == 0:
            continue
        node = _weights(work.place[j], tables.grid[0], tables.responses.shape[1], work.hermite, 0)
        row = PARTS * (fixed + j)
        if delayed:
            _respond_later(tables.responses, (late, node), work.hermite, work, row)
        else:
            _respond(tables.responses, node, work.hermite, work.rows, row)
