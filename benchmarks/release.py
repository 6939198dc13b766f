"""Release in vitro: how often limits of f2 hold the truth, AICc finds the law, and how fast.

Run: OPENBLAS_NUM_THREADS=1 python benchmarks/release.py     (a few minutes on one core)
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from igdd.kernels.release_profiles import bootstrap
from igdd.stages.release import release

TRIALS = 1000
DRAWS = 1000
MEAN = np.array([20.0, 35.0, 55.0, 75.0])
TIMES = np.array([0.5, 1, 2, 4, 6, 8, 12, 16, 24, 36, 48])
LAWS = {
    "zero_order": lambda t: 1.9 * t,
    "first_order": lambda t: 100 * (1 - np.exp(-0.08 * t)),
    "higuchi": lambda t: 13 * np.sqrt(t),
    "hixson_crowell": lambda t: 100 * (1 - np.maximum(1 - 0.016 * t, 0) ** 3),
    "weibull": lambda t: 100 * (1 - np.exp(-((t / 12) ** 0.6))),
    "gompertz": lambda t: 100 * np.exp(-5 * np.exp(-2.2 * np.log10(t))),
    "logistic": lambda t: 100 / (1 + np.exp(4 - 3.5 * np.log10(t))),
    "burst_first_order": lambda t: 100 - 75 * np.exp(-0.06 * t),
    "biphasic": lambda t: 100 - 40 * np.exp(-0.9 * t) - 60 * np.exp(-0.03 * t),
}


def coverage() -> None:
    """Share of 90 % limits that hold f2 of the truth, and how often f2 50 passes as similar."""
    print(f"90 % limits of f2 over {TRIALS} trials ({DRAWS} draws): share that holds the truth")
    print("gap  vessels  sd  f2     expected  bias-corrected  lower limit of f2 above 50")
    for gap in (4.0, 9.95):
        truth = 100 - 25 * np.log10(1 + gap**2)
        for vessels in (6, 12):
            for sd in (2.0, 5.0):
                rng = np.random.default_rng([vessels, round(10 * sd), round(gap)])
                held = dict.fromkeys(("f2", "expected", "bias_corrected"), 0)
                passed = 0
                for seed in range(TRIALS):
                    pair = (
                        centre + rng.normal(0, sd, (vessels, 1)) + rng.normal(0, 1, (vessels, 4))
                        for centre in (MEAN, MEAN - gap)
                    )
                    found = bootstrap(*pair, draws=DRAWS, seed=seed)
                    passed += found["f2"].low > 50
                    for name in held:
                        held[name] += found[name].low <= truth <= found[name].high
                shares = "     ".join(f"{count / TRIALS:.3f}" for count in held.values())
                print(f"{gap:4g}  {vessels:3d}    {sd:3g}  {shares}     {passed / TRIALS:.3f}")


def ranking() -> None:
    """How often the law that made a mean profile has the lowest AICc, or one within 2 of it."""
    print("\nlaw that made the profile; noise 1 % of the load, 11 samples, 100 profiles")
    print("law                 first   within 2")
    rng = np.random.default_rng(3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "profiles.csv"
        for name, law in LAWS.items():
            rows = ["formulation,time [h],released [%]"]
            for number in range(100):
                values = law(TIMES) + rng.normal(0, 1, TIMES.size)
                rows += [f"{number},{t},{v}" for t, v in zip(TIMES, values, strict=True)]
            path.write_text("\n".join(rows) + "\n", encoding="utf-8")
            begun = time.perf_counter()
            found = release(path)["formulations"]
            taken = time.perf_counter() - begun
            first = sum(one["best"] == name for one in found)
            near = sum(
                row["difference"] is not None and row["difference"] <= 2
                for one in found
                for row in one["models"]
                if row["model"] == name
            )
            print(f"{name:18}  {first:3d} %   {near:3d} %    {taken:.1f} s for 13 models")


if __name__ == "__main__":
    coverage()
    ranking()
