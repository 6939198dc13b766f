"""ESDIRK4(3)6L[2]SA, a Runge-Kutta method for stiff linear equations: coefficients, step length.

Fourth order with an embedded third order, L-stable, stiffly accurate, all stages but the first
implicit with one diagonal coefficient. Kennedy and Carpenter, Appl Numer Math 2003;44:139,
doi:10.1016/S0168-9274(02)00138-1 (the implicit part of their pair).
"""

from __future__ import annotations

import numpy as np

from igdd.kernels.compiled import njit

GAMMA = 0.25
NODES = np.array([0.0, 1 / 2, 83 / 250, 31 / 50, 17 / 20, 1.0])
STAGES = np.zeros((6, 6))
STAGES[1, :1] = 1 / 4
STAGES[2, :2] = 8611 / 62500, -1743 / 31250
STAGES[3, :3] = 5012029 / 34652500, -654441 / 2922500, 174375 / 388108
STAGES[4, :4] = (
    15267082809 / 155376265600, -71443401 / 120774400, 730878875 / 902184768, 2285395 / 8070912,
)  # fmt: skip
STAGES[5, :5] = 82889 / 524892, 0.0, 15625 / 83664, 69875 / 102672, -2260 / 8211
LAST = np.append(STAGES[5, :5], GAMMA)
EMBEDDED = np.array(
    [
        4586570599 / 29645900160, 0.0, 178811875 / 945068544, 814220225 / 1159782912,
        -3700637 / 11593932, 61727 / 225920,
    ]
)  # fmt: skip
DEFECT = LAST - EMBEDDED

FIRST_SHARE = 1e-3  # first step, as a share of the fastest rate's time


@njit(cache=True, error_model="numpy")
def next_step(taken: float, worst: float) -> float:
    """Step after one whose local error was `worst` times that allowed; not finite: a tenth.

    >>> next_step(1.0, 16.0), next_step(1.0, 0.0), next_step(1.0, float("nan"))
    (0.45, 5.0, 0.1)
    """
    if not worst < np.inf:
        return 0.1 * taken
    factor = 5.0 if worst == 0.0 else min(5.0, max(0.2, 0.9 * worst**-0.25))
    return factor * taken
