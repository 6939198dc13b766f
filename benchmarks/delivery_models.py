"""Delivery models: speed over 378 studies, and whether intervals of fitted parameters cover.

    python benchmarks/delivery_models.py [FOLDER of the public reference data] [replicates]

Coverage: parameters drawn from the prior (kept within its bounds), a tumour curve at 10 times with
lognormal errors of the prior's size, fitted by maximum a posteriori; how often the 95 % interval
holds the truth.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from igdd.stages.pbpk import pbpk, tumour_uptake
from igdd.stages.pbpk_fit import prior
from igdd.stages.pbpk_inputs import mouse

TIMES = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 24.0, 48.0, 72.0, 120.0, 168.0])


def speed(folder: Path) -> None:
    tables = {
        "table": folder / "delivery/nano_tumor/G1_Model_dataset.csv",
        "observed": folder / "delivery/nano_tumor/G1_timecourse_pk.csv",
    }
    pbpk(times="1 h")  # compile
    for variant in ("as_published", "flow_consistent"):
        started = time.perf_counter()
        facts = pbpk(**tables, times="24 h, 168 h", variant=variant).facts
        taken = time.perf_counter() - started
        agreement = facts["agreement"]
        print(
            f"{variant:16} {agreement['points']} points: AAFE {agreement['aafe']:.4f}, "
            f"{100 * agreement['within_twofold']:.2f} % within two-fold, "
            f"mass error {facts['mass_error']:.1e}, {taken:.2f} s"
        )


def coverage(replicates: int) -> None:
    known, base = prior(), mouse()
    random = np.random.default_rng(1)
    low, high = known.bounds.T
    held = np.zeros(len(known.parameters))
    judged, widths = np.zeros_like(held), [[] for _ in known.parameters]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "curve.csv"
        for _ in range(replicates):
            draw = random.multivariate_normal(known.mean, known.covariance)
            while ((draw < low) | (draw > high)).any():
                draw = random.multivariate_normal(known.mean, known.covariance)
            body = base | dict(zip(known.parameters, np.exp(draw), strict=True))
            curve = tumour_uptake(body, TIMES)[0]
            curve = curve * np.exp(known.error * random.standard_normal(TIMES.size))
            rows = [f"a,{hour},{value:.9g}" for hour, value in zip(TIMES, curve, strict=True)]
            place.write_text("\n".join(["study,time [h],percent_id [%]", *rows]) + "\n")
            found = pbpk(times="24 h", observed=place, fit=True).facts["fit"][0]
            for number, row in enumerate(found["parameters"]):
                if np.isfinite(row["sd_log"]):
                    judged[number] += 1
                    held[number] += row["low"] <= np.exp(draw[number]) <= row["high"]
                    widths[number].append(row["sd_log"] / row["sd_log_prior"])
    taken = time.perf_counter() - started
    print(f"{replicates} fits in {taken:.1f} s")
    for number, name in enumerate(known.parameters):
        print(f"{name:26} {100 * held[number] / judged[number]:5.1f} % of {judged[number]:.0f} "
              f"covered; posterior over prior sd {np.median(widths[number]):.2f}")  # fmt: skip


def main() -> None:
    default = Path(__file__).resolve().parents[1] / "../shared/reference"
    speed(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
    coverage(int(sys.argv[2]) if len(sys.argv) > 2 else 200)


if __name__ == "__main__":
    main()
