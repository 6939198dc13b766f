"""Coverage of the intervals of `igdd dose`: activity made by a differential equation, 5 % noise.

    python benchmarks/dose_coverage.py [replicates]

Prints, for each truth and schedule, the share of 95 % intervals that hold the true decays, the mean
and root mean square error, and the half-width of the intervals on a log scale.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.integrate import solve_ivp

from igdd.kernels.time_activity import physical
from igdd.metrics._decays import Rules, decays

LUTETIUM = np.log(2) / 159.528
# Rates of uptake and clearance (1/h, biological), and the share that is cleared fast at 0.08 1/h.
TRUTHS = {"early": (0.3, 0.010, 0.0), "late": (0.04, 0.008, 0.0), "two phases": (2.0, 0.006, 0.5)}
TIMES = ((4, 24, 72, 120), (4, 24, 48, 96, 168), (1, 4, 24, 48, 96, 168), (4, 24, 96))
NOISE = 0.05


def truth(name: str, time: np.ndarray) -> tuple[np.ndarray, float]:
    """Activity at the times, and its integral to 5000 h."""
    uptake, clearance, fast = TRUTHS[name]
    slow_rate, fast_rate = LUTETIUM + clearance, LUTETIUM + 0.08

    def change(_: float, y: np.ndarray) -> list[float]:
        fed, slow, quick = y[0], y[1], y[2]
        return [
            -uptake * fed,
            (1 - fast) * uptake * fed - slow_rate * slow,
            fast * uptake * fed - fast_rate * quick,
            slow + quick,
        ]

    found = solve_ivp(
        change, (0, 5000), [100.0, 0.0, 0.0, 0.0], t_eval=[*time, 5000.0], rtol=1e-9, atol=1e-12
    )
    return found.y[1, :-1] + found.y[2, :-1], float(found.y[3, -1])


def main() -> None:
    """Print the table."""
    replicates = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    rng = np.random.default_rng(20)
    for name in TRUTHS:
        for schedule in TIMES:
            time = np.array(schedule, dtype=float)
            activity, area = truth(name, time)
            for known in (True, False):
                error, width, hits, without = [], [], 0, 0
                for _ in range(replicates):
                    value = activity * np.exp(NOISE * rng.standard_normal(time.size))
                    sd = NOISE * value if known else None
                    found = decays(
                        physical(time, value, sd, rate=LUTETIUM, corrected_to="none"), Rules()
                    )
                    low, high = found.interval
                    error.append(found.value / area - 1)
                    without += not np.isfinite(low)
                    hits += low <= area <= high
                    width.append(np.log(high / low) / 2)
                errors = np.array(error)
                print(
                    f"{name:10} {len(schedule)} times, sd {'known' if known else 'not known':9}: "
                    f"covers {hits / max(replicates - without, 1):.3f}, without {without}, "
                    f"bias {errors.mean():+.3f}, rms {np.sqrt(np.mean(errors**2)):.3f}, "
                    f"half-width {np.nanmedian(width):.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
