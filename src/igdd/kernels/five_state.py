"""Where carriers are: administration site, vicinity of the target cells, inside them, off target.

Five places exchange at first-order rates; the fifth is what has left the body.

    A' = -(kAC + kAO + kAX) A + kCA C + kOA O
    C' = kAC A - (kCA + kin + kCO) C + kout I + kOC O
    I' = kin C - kout I
    O' = kAO A + kCO C - (kOA + kOC + kOX) O
    X' = kAX A + kOX O

A administration site (or blood), C vicinity of the target cells, I their inside, O off-target
sites, X excreted. Wu and others, Adv Drug Deliv Rev 2022;189:114520; extended to five states by
Tsiros and others, RSC Sustainability 2025. Solved by the matrix exponential.
"""

from __future__ import annotations

import numpy as np

from igdd.errors import InputError

PLACES = ("administration", "vicinity", "inside", "off_target", "excreted")
# Rate -> where from, where to.
WAYS = {
    "kAC": (0, 1), "kAO": (0, 3), "kAX": (0, 4), "kCA": (1, 0), "kin": (1, 2), "kCO": (1, 3),
    "kout": (2, 1), "kOA": (3, 0), "kOC": (3, 1), "kOX": (3, 4),
}  # fmt: skip
RATES = tuple(WAYS)
# Ways back; without them a particle passes each place once at most.
RETURNS = ("kCA", "kout", "kOA", "kOC")


def courses(rates: np.ndarray, times: np.ndarray, dose: float = 1.0) -> np.ndarray:
    """Amounts (m, t, 5) at times (t,) for rates (m, 10) in the order of `RATES`.

    >>> one_way = np.array([[1.0, 1.0, 0, 0, 1.0, 0, 0, 0, 0, 0]])
    >>> courses(one_way, np.array([50.0]), dose=100.0).round(6)
    array([[[ 0.,  0., 50., 50.,  0.]]])
    """
    from igdd.kernels.linear_system import propagate

    rates = np.atleast_2d(np.asarray(rates, dtype=float))
    times = np.asarray(times, dtype=float)
    if rates.shape[1] != len(RATES) or not np.isfinite(rates).all() or (rates < 0).any():
        raise InputError(f"rates must be (m, {len(RATES)}), finite and at least 0")
    if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times, prepend=0.0) < 0).any():
        raise InputError("times must be finite and ascend from at least 0")
    matrix = np.zeros((len(rates), len(PLACES), len(PLACES)))
    for way, (source, target) in enumerate(WAYS.values()):
        matrix[:, target, source] += rates[:, way]
        matrix[:, source, source] -= rates[:, way]
    initial = np.zeros(len(PLACES))
    initial[0] = dose
    return propagate(matrix, initial, times)


def ever_inside(rates: np.ndarray) -> np.ndarray:
    """Share (m,) of the particles that enter a target cell at least once.

    The probability of passing from A to I before leaving the body; on rates without ways back it is
    the efficiency kAC / (kAC + kAO + kAX) * kin / (kin + kCO). 1 where nothing leaves the body and
    there is a way in.
    """
    rates = np.atleast_2d(np.asarray(rates, dtype=float))
    named = dict(zip(RATES, rates.T, strict=True))
    # First passage: p = sum over ways of k p_target / sum of k, for A, C and O.
    system, right = np.zeros((len(rates), 3, 3)), np.zeros((len(rates), 3))
    rows = {0: 0, 1: 1, 3: 2}
    for name, (source, target) in WAYS.items():
        if name == "kout":
            continue
        row = rows[source]
        system[:, row, row] += named[name]
        if target == 2:
            right[:, row] += named[name]
        elif target in rows:
            system[:, row, rows[target]] -= named[name]
    # A place without exits is never left: its probability is 0.
    stuck = np.einsum("mii->mi", system) == 0
    system[:, [0, 1, 2], [0, 1, 2]] += stuck
    try:
        found = np.linalg.solve(system, right[..., None])[:, 0, 0]
    except np.linalg.LinAlgError as error:
        raise InputError(
            "particles can circle for ever without entering a cell or leaving the body; "
            "expected a rate of 0 on the way into that circle, or a way out of it"
        ) from error
    return np.asarray(found)


def one_way_efficiency(rates: np.ndarray) -> np.ndarray:
    """Efficiency (m,) where no way leads back: the product of the shares that go the right way.

    kAC / (kAC + kAO + kAX) * kin / (kin + kCO). A way back is an error: the product does not hold.

    >>> one_way_efficiency(np.array([[0.1, 0.3, 0.1, 0, 0.4, 0.4, 0, 0, 0, 0.2]]))
    array([0.1])
    """
    rates = np.atleast_2d(np.asarray(rates, dtype=float))
    named = dict(zip(RATES, rates.T, strict=True))
    for name in RETURNS:
        if (named[name] != 0).any():
            raise InputError(
                f"{name} is not 0: a way leads back, and the product of shares does not hold; "
                "use ever_inside, or the amount inside at a time"
            )
    leaving = named["kAC"] + named["kAO"] + named["kAX"]
    nearby = named["kin"] + named["kCO"]
    if (leaving <= 0).any() or (nearby <= 0).any():
        raise InputError("nothing leaves the administration site or the cells' vicinity")
    return np.asarray(named["kAC"] / leaving * named["kin"] / nearby)
