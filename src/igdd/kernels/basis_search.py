"""Where fits of exponential responses begin: the best places of a grid of rates and delays.

Products of a curve with the tabulated responses and columns are all that the search needs. What a
response, or a pair of them, would explain beside any of the columns follows by a few
multiplications, and so do the coefficients: of every delay it keeps the best whose coefficients all
have a sign that they may have. Curves are searched side by side, as a processor computes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.kernels.compiled import INLINE, JIT, LEAN, njit
from igdd.kernels.response_table import SUMS, Work

LANES = 64  # curves that are searched side by side
PLACES = 3  # of a search from which fits begin
COLUMNS = 2  # the most that a model may have; absent ones are 0
NODES = 128  # more than any search has: at its step of 0.3 in u, rates over 16 decades
NOTHING = np.float32(-np.inf)
PAIR_WORTH = 1e-6  # what a second exponential must explain beyond one: less is rounding
FEW = np.float32  # for a first look, half the digits do


class Search(NamedTuple):
    """What is known before any curve is seen; arrays of FEW, but for the first three and `masks`.

    r: size of a projected curve; l = COLUMNS; every response stands at length 1

    nodes    (mc,) u of the search
    delays   (dc,) d of the search
    rows     (dc, mc, r) responses
    masks    (m,) which columns stand beside the exponentials: all that are free, and fewer where
             one must not be negative
    seeker   (dc, mc + l + 1, r) what the responses have beside the free columns, at length 1; the
             free columns made orthonormal; the held columns' curve
    held     (dc, mc + l + 1) products of those with the held columns' curve
    turns    (m, dc, l, l) the columns of a mask made orthonormal, along the seeker's
    shares   (m, dc, l, l) coefficients of the columns that must not be negative, along the seeker's
    bends    (m, dc, mc, 1 + l) what a response has beside a mask's columns, at length 1, along the
             seeker's response and columns
    tolls    (m, dc, mc, l) what those coefficients lose to that at height 1
    grams    (m, dc, mc, mc) products of that; (1, 1, 1, 1) where there are no two exponentials
    least    (1,) height that an exponential must exceed
    """

    nodes: np.ndarray
    delays: np.ndarray
    rows: np.ndarray
    masks: np.ndarray
    seeker: np.ndarray
    held: np.ndarray
    turns: np.ndarray
    shares: np.ndarray
    bends: np.ndarray
    tolls: np.ndarray
    grams: np.ndarray
    least: np.ndarray


class Lanes(NamedTuple):
    """Room for LANES curves, which are the last axis of every array.

    units     (r,) curves at length 1
    scales    one over their lengths
    products  (mc + l + 1,) with the seeker, without the held columns
    costs     what the held columns add to the sum of squares
    base      (m,) what the columns of a mask explain, without the costs
    amounts   (l,) their coefficients, 0 for those that may have any sign
    heights   (m, mc) of the responses beside them
    trial     what one choice explains
    tops      (dc,) the most that anything explains at a delay; `codes`: what that is
    places    (dc,) u of its first exponential
    gains     (PLACES,) tops of the delays that explain no less than those beside them, the most
              first; `ranks`: their numbers, -1 where there is none; `number`: one of these
    """

    units: np.ndarray
    scales: np.ndarray
    products: np.ndarray
    costs: np.ndarray
    base: np.ndarray
    amounts: np.ndarray
    heights: np.ndarray
    trial: np.ndarray
    tops: np.ndarray
    codes: np.ndarray
    places: np.ndarray
    gains: np.ndarray
    ranks: np.ndarray
    number: np.ndarray


@njit(**JIT)
def lanes_of(search: Search) -> Lanes:
    """Room for a search."""
    late, products, size = search.seeker.shape
    masks, nodes = search.masks.size, search.nodes.size
    return Lanes(
        units=np.zeros((size, LANES), dtype=FEW),
        scales=np.zeros(LANES, dtype=FEW),
        products=np.zeros((products, LANES), dtype=FEW),
        costs=np.zeros(LANES, dtype=FEW),
        base=np.zeros((masks, LANES), dtype=FEW),
        amounts=np.zeros((COLUMNS, LANES), dtype=FEW),
        heights=np.zeros((masks, nodes, LANES), dtype=FEW),
        trial=np.zeros(LANES, dtype=FEW),
        tops=np.zeros((late, LANES), dtype=FEW),
        codes=np.zeros((late, LANES), dtype=FEW),
        places=np.zeros((late, LANES), dtype=FEW),
        gains=np.zeros((PLACES, LANES), dtype=FEW),
        ranks=np.zeros((PLACES, LANES), dtype=FEW),
        number=np.zeros(LANES, dtype=FEW),
    )


# BLAS would begin threads for some of these products, and its locks stop ours for others.
@njit(fastmath=SUMS, **INLINE)
def _multiply(seeker: np.ndarray, units: np.ndarray, products: np.ndarray) -> None:
    """Products (k, LANES) of the seeker (k, r) at one delay with the curves (r, LANES)."""
    size = units.shape[0]
    for row in range(len(seeker)):
        for lane in range(LANES):
            products[row, lane] = 0
        for i in range(0, size - size % 4, 4):
            a, b, c, d = seeker[row, i], seeker[row, i + 1], seeker[row, i + 2], seeker[row, i + 3]
            for lane in range(LANES):
                early = a * units[i, lane] + b * units[i + 1, lane]
                late = c * units[i + 2, lane] + d * units[i + 3, lane]
                products[row, lane] += early + late
        for i in range(size - size % 4, size):
            a = seeker[row, i]
            for lane in range(LANES):
                products[row, lane] += a * units[i, lane]


@njit(fastmath=SUMS, **INLINE)
def _take_held(search: Search, lanes: Lanes, late: int) -> None:
    """Take the held columns out of the products at one delay."""
    last = lanes.products.shape[0] - 1
    square = search.held[late, last]
    if square == 0:
        lanes.costs[:] = 0
        return
    for lane in range(LANES):
        scale = lanes.scales[lane]
        lanes.costs[lane] = scale * (scale * square - 2 * lanes.products[last, lane])
    for one in range(last):
        for lane in range(LANES):
            lanes.products[one, lane] -= lanes.scales[lane] * search.held[late, one]


@njit(fastmath=SUMS, **INLINE)
def _stand(search: Search, lanes: Lanes, number: int, late: int) -> None:
    """What the columns of a mask explain by themselves, and their coefficients."""
    first = search.nodes.size
    turns, shares = search.turns[number, late], search.shares[number, late]
    a, b, c, d = turns[0, 0], turns[0, 1], turns[1, 0], turns[1, 1]
    for lane in range(LANES):
        one, other = lanes.products[first, lane], lanes.products[first + 1, lane]
        explained = (a * one + b * other) ** 2 + (c * one + d * other) ** 2
        lanes.base[number, lane] = explained - lanes.costs[lane]
    for column in range(COLUMNS):
        a, b = shares[column, 0], shares[column, 1]
        for lane in range(LANES):
            one, other = lanes.products[first, lane], lanes.products[first + 1, lane]
            lanes.amounts[column, lane] = a * one + b * other
    for lane in range(LANES):
        good = (lanes.amounts[0, lane] >= 0) & (lanes.amounts[1, lane] >= 0)
        base = lanes.base[number, lane]
        lanes.trial[lane] = base if good else NOTHING


@njit(**INLINE)
def _code(number: int, count: int, one: int, other: int) -> int:
    """Number of the mask, how many exponentials, and their nodes, in one that FEW holds."""
    return ((4 * number + count) * NODES + one) * NODES + other


@njit(**INLINE)
def _decode(code: int) -> tuple[int, int, int, int]:
    """What `_code` was made of."""
    place = code // NODES**2
    return place // 4, place % 4, code // NODES % NODES, code % NODES


@njit(**INLINE)
def _keep(lanes: Lanes, late: int, code: int) -> None:
    """Keep what was tried where it explains more than all before at this delay."""
    this = FEW(code)
    for lane in range(LANES):
        now, top, old = lanes.trial[lane], lanes.tops[late, lane], lanes.codes[late, lane]
        lanes.tops[late, lane] = now if now > top else top
        lanes.codes[late, lane] = this if now > top else old


@njit(fastmath=SUMS, **INLINE)
def _try_each(search: Search, lanes: Lanes, number: int, late: int) -> None:
    """Every response beside the columns of a mask."""
    nodes, least, products = search.nodes.size, search.least[0], lanes.products
    for node in range(nodes):
        bend = search.bends[number, late, node]
        own, first, second = bend[0], bend[1], bend[2]
        for lane in range(LANES):
            height = own * products[node, lane] + first * products[nodes, lane]
            lanes.heights[number, node, lane] = height + second * products[nodes + 1, lane]
    for node in range(nodes):
        first, second = search.tolls[number, late, node, 0], search.tolls[number, late, node, 1]
        for lane in range(LANES):
            height = lanes.heights[number, node, lane]
            good = height > least
            good &= lanes.amounts[0, lane] >= first * height
            good &= lanes.amounts[1, lane] >= second * height
            gain = lanes.base[number, lane] + height * height
            lanes.trial[lane] = gain if good else NOTHING
        _keep(lanes, late, _code(number, 1, node, node))


@njit(fastmath=SUMS, **INLINE)
def _try_pairs(search: Search, lanes: Lanes, number: int, late: int) -> None:
    """Every pair of responses beside the columns of a mask."""
    nodes, least = search.nodes.size, search.least[0]
    for one in range(nodes):
        for other in range(one + 1, nodes):
            gram = search.grams[number, late, one, other]
            rest = 1 / (1 - gram * gram)
            toll, other_toll = search.tolls[number, late, one], search.tolls[number, late, other]
            a, b, c, d = toll[0], toll[1], other_toll[0], other_toll[1]
            for lane in range(LANES):
                x, y = lanes.heights[number, one, lane], lanes.heights[number, other, lane]
                first, second = (x - gram * y) * rest, (y - gram * x) * rest
                good = (first > least) & (second > least)
                good &= lanes.amounts[0, lane] >= a * first + c * second
                good &= lanes.amounts[1, lane] >= b * first + d * second
                gain = lanes.base[number, lane] + x * first + y * second - FEW(PAIR_WORTH)
                lanes.trial[lane] = gain if good else NOTHING
            _keep(lanes, late, _code(number, 2, one, other))


@njit(**INLINE)
def _vertex(below: float, here: float, above: float) -> tuple[float, float]:
    """Top of the parabola through three even steps: how far from the middle, and its height."""
    bend = 2 * here - below - above
    if not bend > 0:
        return 0.0, here
    shift = min(max((above - below) / (2 * bend), -0.5), 0.5)
    return shift, here + shift * (above - below) / 4


@njit(**INLINE)
def _look_between(search: Search, lanes: Lanes, late: int, single: bool) -> None:
    """Where the first exponential of the best is: between the nodes, if it is the only one."""
    last, least = search.nodes.size - 1, search.least[0]
    for lane in range(LANES):
        number, count, node, _ = _decode(np.uint32(lanes.codes[late, lane]))
        place = search.nodes[node]
        if single and count == 1 and 0 < node < last:
            # A grid hides what lies between its nodes, and with it the order of the delays.
            base = lanes.base[number, lane]
            below = max(lanes.heights[number, node - 1, lane], least)
            above = max(lanes.heights[number, node + 1, lane], least)
            here = lanes.tops[late, lane]
            shift, top = _vertex(base + below * below, here, base + above * above)
            place += shift * (search.nodes[node + 1] - search.nodes[node - 1]) / 2
            lanes.tops[late, lane] = top
        lanes.places[late, lane] = place


@njit(**INLINE)
def _rank(search: Search, lanes: Lanes) -> None:
    """Put the delays that explain no less than those beside them into the order of what they do."""
    count = search.delays.size
    lanes.gains[:] = NOTHING
    lanes.ranks[:] = -1
    for late in range(count):
        before, after = max(late - 1, 0), min(late + 1, count - 1)
        for lane in range(LANES):
            top = lanes.tops[late, lane]
            peak = (top >= lanes.tops[before, lane]) & (top >= lanes.tops[after, lane])
            lanes.trial[lane] = top if peak else NOTHING
            lanes.number[lane] = FEW(late)
        for place in range(PLACES):
            # Whoever explains less is handed down to the next place.
            for lane in range(LANES):
                gain, kept = lanes.trial[lane], lanes.gains[place, lane]
                late_one, late_kept = lanes.number[lane], lanes.ranks[place, lane]
                more = gain > kept
                lanes.gains[place, lane] = gain if more else kept
                lanes.trial[lane] = kept if more else gain
                lanes.ranks[place, lane] = late_one if more else late_kept
                lanes.number[lane] = late_kept if more else late_one


@njit(**LEAN)
def survey(search: Search, lanes: Lanes, exponentials: int) -> None:
    """What is best at every delay, for each of the curves, and which delays are the best."""
    for late in range(search.delays.size):
        _multiply(search.seeker[late], lanes.units, lanes.products)
        _take_held(search, lanes, late)
        lanes.tops[late] = NOTHING
        for number in range(search.masks.size):
            _stand(search, lanes, number, late)
            _keep(lanes, late, _code(number, 0, 0, 0))
            _try_each(search, lanes, number, late)
            if exponentials == 2:
                _try_pairs(search, lanes, number, late)
        _look_between(search, lanes, late, exponentials == 1)
    _rank(search, lanes)


@njit(**INLINE)
def next_place(
    search: Search, lanes: Lanes, lane: int, work: Work, rank: int, least: float
) -> tuple[int, int, float]:
    """Put the work at the delay of a rank and the best rates there: the columns' mask, how many
    exponentials, what they explain. The mask is -1 where there is none that explains `least`.

    Only a delay that explains no less than those beside it is a place to begin from.
    """
    best, count = int(lanes.ranks[rank, lane]), search.delays.size
    top = float(lanes.gains[rank, lane])
    if best < 0 or not top > least:
        return -1, 0, least
    number, size, _, second = _decode(np.uint32(lanes.codes[best, lane]))
    last = work.place.size - 1
    if size > 0:
        work.place[0] = lanes.places[best, lane]
    if size > 1:
        work.place[1] = search.nodes[second]
    work.place[last] = search.delays[best]
    if 0 < best < count - 1:
        below, above = lanes.tops[best - 1, lane], lanes.tops[best + 1, lane]
        shift, top = _vertex(below, top, above)
        work.place[last] += shift * (search.delays[best + 1] - search.delays[best - 1]) / 2
        if last == 1 and size == 1:
            leads = lanes.places[best + 1, lane] - lanes.places[best - 1, lane]
            work.place[0] += shift * leads / 2
    return search.masks[number], size, top
