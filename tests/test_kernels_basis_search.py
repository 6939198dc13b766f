"""The search against non-negative least squares, which SciPy solves one combination at a time."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose
from scipy.optimize import nnls

from igdd.errors import InputError
from igdd.kernels import basis_search
from igdd.kernels.basis_search import LANES
from test_kernels_basis import ITSELF, TRAPPED, basis_of

DELAYS = (-6.0, 10.0)


@njit
def surveyed(search, units, scales, exponentials):
    lanes = basis_search.lanes_of(search)
    lanes.units[:], lanes.scales[:] = units, scales
    basis_search.survey(search, lanes, exponentials)
    return lanes


def seen(basis, count=LANES, seed=3):
    """Curves (n, r) at length 1, whose columns are wanted at either sign, and one over lengths."""
    rng = np.random.default_rng(seed)
    search, tables = basis.search, basis.tables
    late = rng.integers(search.delays.size, size=count)
    at = np.rint((search.delays - tables.grid[2]) / tables.grid[1]).astype(int)
    columns = tables.columns[at[late], :, 0]
    columns = columns / np.linalg.norm(columns, axis=2, keepdims=True)
    node = rng.integers(search.nodes.size, size=count)
    curves = np.einsum("nlr,nl->nr", columns, rng.normal(size=columns.shape[:2]))
    curves += rng.normal(size=(count, 1)) * search.rows[late, node]
    curves += 0.1 * rng.normal(size=curves.shape)
    length = np.linalg.norm(curves, axis=1)
    return curves / length[:, None], 1 / length, at


def best_gain(basis, curve, columns, rows, exponentials, held):
    """The most that columns and up to so many responses explain, by non-negative least squares."""
    whole = curve @ curve
    wanted, given = curve - held @ columns, np.array(held) == 0
    most = -np.inf
    for pair in combinations(range(len(rows)), exponentials):
        design = np.concatenate([columns[given], rows[list(pair)]]).T
        length = np.linalg.norm(design, axis=0)
        _, left = nnls(design / length, wanted)
        most = max(most, whole - left**2)
    return most


@pytest.mark.parametrize(
    ("columns", "given"),
    [
        ((), ()),
        ((ITSELF,), (np.nan,)),
        ((ITSELF,), (0.01,)),
        ((ITSELF, TRAPPED), (np.nan, np.nan)),
        ((ITSELF, TRAPPED), (0.01, np.nan)),
    ],
)
def test_every_delay_has_the_best_whose_signs_are_allowed(columns, given):
    """Pairs are not looked at between nodes: what the search says is what the grid has."""
    basis = basis_of(columns, exponentials=2, given=given, delay=DELAYS)
    curves, scales, at = seen(basis)
    search = basis.search
    lanes = surveyed(search, curves.T.astype(np.float32), scales.astype(np.float32), 2)
    known = np.nan_to_num(np.array(given))
    for lane in range(0, LANES, 8):
        for late in range(0, search.delays.size, 3):
            own = basis.tables.columns[at[late], :, 0]
            fixed = scales[lane] * known
            expected = best_gain(basis, curves[lane], own, search.rows[late], 2, fixed)
            # Half the digits, over responses of which a 1e-6th may be left beside the columns;
            # a pair must explain 1e-6 beyond one.
            assert_allclose(lanes.tops[late, lane], expected, atol=2e-5)


def test_a_curve_does_not_know_its_lane():
    basis = basis_of(delay=DELAYS)
    rng = np.random.default_rng(1)
    curves = np.abs(rng.normal(size=(3 * LANES - 5, basis.weight.size)))
    found = basis.solve(curves)
    alone = basis.solve(curves[LANES + 7 : LANES + 8])
    # Beside a delay Newton's method ends at 1e-6 standard errors.
    sd = np.sqrt(np.einsum("npp->np", found.covariance))[LANES + 7]
    away = np.abs(alone.canonical[0] - found.canonical[LANES + 7])
    assert (away <= 1e-5 * np.nan_to_num(sd) + 1e-9 * np.abs(alone.canonical[0])).all()
    assert alone.status[0] == found.status[LANES + 7]


def test_what_is_tried_is_read_back():
    for number, count, one, other in [(0, 0, 0, 0), (3, 1, 127, 127), (3, 2, 126, 127)]:
        code = basis_search._code(number, count, one, other)
        assert np.float32(code) == code
        assert basis_search._decode(code) == (number, count, one, other)


def test_three_columns_are_refused():
    with pytest.raises(InputError, match="3 columns; expected at most 2"):
        basis_of((ITSELF, TRAPPED, ITSELF))
