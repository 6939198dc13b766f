"""Speed of non-compartmental analysis, and how often sparse intervals hold the truth.

Run: OPENBLAS_NUM_THREADS=1 python benchmarks/nca.py    (one core; exit 1 when a target is missed)
"""

from __future__ import annotations

import sys
import time

import numpy as np

from igdd.kernels.exposure import RULES, noncompartmental
from igdd.kernels.sparse_comparison import interval, log_interval
from igdd.kernels.sparse_exposure import exposure

PROFILES = 200_000
TARGET = 2.0  # s
TRIALS = 10_000
SAMPLED = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 24.0])
MEANS = 10 * (np.exp(-0.12 * SAMPLED) - np.exp(-1.5 * SAMPLED))


def speed() -> bool:
    """200,000 profiles of 12 points by each rule, on one core."""
    times = np.array([0.25, 0.5, 1, 2, 4, 6, 8, 12, 16, 24, 36, 48], float)
    generator = np.random.default_rng(0)
    curves = 10 * np.exp(-0.3 * times) + 3 * np.exp(-0.05 * times)
    values = curves * np.exp(0.1 * generator.standard_normal((PROFILES, times.size)))
    held = True
    for rule in RULES:
        seconds = []
        for _ in range(3):
            begun = time.perf_counter()
            noncompartmental(times, values, route="bolus", rule=rule)
            seconds.append(time.perf_counter() - begun)
        met = min(seconds) <= TARGET
        held = held and met
        print(f"{rule:20} {PROFILES} profiles x {times.size}: {min(seconds):.2f} s "
              f"(<= {TARGET:g} s) {'held' if met else 'MISSED'}")  # fmt: skip
    return held


def drawn(animals: int, cv: float) -> np.ndarray:
    """Log-normal trials of one animal a sample (trial, animal, time)."""
    scale = np.sqrt(np.log1p(cv**2))
    generator = np.random.default_rng([animals, round(100 * cv)])
    noise = generator.standard_normal((TRIALS, SAMPLED.size, animals))
    samples = MEANS[:, None] * np.exp(scale * noise - scale**2 / 2)
    values = np.full((TRIALS, SAMPLED.size * animals, SAMPLED.size), np.nan)
    for place in range(SAMPLED.size):
        values[:, place * animals : (place + 1) * animals, place] = samples[:, place]
    return values


def coverage() -> bool:
    """Share of 95 % intervals that hold the truth, of AUC to the last time and to infinity."""
    truth = exposure(np.tile(MEANS, (2, 1)), SAMPLED)
    held = True
    print(f"\ncoverage of 95 % intervals, {TRIALS} trials; log-t to CV 0.5: 0.93 to 0.97")
    print("animals  CV   AUC log-t  AUC t  AUCinf log-t  AUCinf t  AUC log-t, pooled CV")
    for animals in (3, 4, 5, 6, 7, 8):
        for cv in (0.1, 0.3, 0.5, 0.8, 1.0):
            values = drawn(animals, cv)
            found = exposure(values, SAMPLED)
            shares = []
            for name in ("AUCLST", "AUCIFO"):
                true = float(getattr(truth, name).estimate)
                for limits in (log_interval, interval):
                    low, high = limits(getattr(found, name))
                    shares.append(float(((low <= true) & (true <= high)).mean()))
            pooled = exposure(values, SAMPLED, spread="pooled").AUCLST
            low, high = log_interval(pooled)
            true = float(truth.AUCLST.estimate)
            shares.append(float(((low <= true) & (true <= high)).mean()))
            met = cv > 0.5 or all(0.93 <= one <= 0.97 for one in (shares[0], shares[2]))
            held = held and met
            words = "  ".join(f"{one:9.4f}" for one in shares)
            print(f"{animals:7}  {cv:3.1f}  {words}{'' if met else '  MISSED'}")
    return held


if __name__ == "__main__":
    results = [speed(), coverage()]
    sys.exit(0 if all(results) else 1)
