"""Times the peers in their own environment; started by kinetics.py, prints JSON and nothing else.

    python kinetics_peers.py CURVES.npz

Each answer is a row: method, path, microseconds per voxel, number of voxels, version.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np

ROUNDS = 3
Row = dict[str, Any]


def timed(work: Callable[[], object], count: int, rounds: int = ROUNDS) -> float:
    """Microseconds per voxel of the fastest round, after one that compiles."""
    work()
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds) / count * 1e6


def petpal_rows(given: Any) -> Iterator[Row]:
    """Patlak and Logan images: the documented function, and its compiled loop on ready arrays."""
    from petpal.kinetic_modeling import graphical_analysis, parametric_images

    minutes, plasma = given["middle"] / 60, given["plasma_at_middle"]
    for method, loop in (
        ("patlak", graphical_analysis.patlak_analysis),
        ("logan", graphical_analysis.logan_analysis),
    ):
        curves = given[method]
        # As an image file gives them: single precision, frame after frame.
        stored = np.asfortranarray(curves.astype(np.float32)[:, None, None, :])
        ready = np.ascontiguousarray(curves[:, None, None, :], dtype=float)
        start = float(given["start"]) / 60
        paths = {
            "ordinary": lambda image=stored, name=method, first=start: (
                parametric_images.generate_parametric_images_with_graphical_method(
                    pTAC_times=minutes,
                    pTAC_vals=plasma,
                    tTAC_img=image,
                    t_thresh_in_mins=first,
                    method_name=name,
                )
            ),
            "best": lambda image=ready, inner=loop, first=start: (
                parametric_images.apply_linearized_analysis_to_all_voxels(
                    minutes, plasma, image, first, inner
                )
            ),
        }
        for path, work in paths.items():
            spent = timed(work, len(curves))
            yield {"method": method, "peer": "petpal", "path": path, "microseconds": spent,
                   "voxels": len(curves), "version": version("petpal")}  # fmt: skip


def dcmri_rows(given: Any) -> Iterator[Row]:
    """Linear fits of all voxels, and the non-linear two-compartment fit of a few.

    The deconvolution alone, one matrix product, leaves responses and no parameters.
    """
    import dcmri
    from dcmri import pk_inv, sig

    conc, aif = given["contrast"] * 1e3, given["contrast_input"] * 1e3  # mol/mL -> M
    step, count = float(given["contrast_step"]), len(conc)
    relaxivity, R10, R10a = 5000.0, 0.7, 0.7
    spoiled = {"TR": 0.005, "FA": 15.0}

    def signal(values: np.ndarray, baseline: float) -> np.ndarray:
        return np.asarray(
            sig.signal_ss(1.0, baseline + relaxivity * values, spoiled["TR"], spoiled["FA"])
        )

    tissue, blood = signal(conc, R10), signal(aif, R10a)

    def linear() -> object:
        array = dcmri.TissueLSArray(
            (count,), sequence="SS", dt=step, r1=relaxivity, R10a=R10a,
            R10=np.full(count, R10), S0=np.ones(count), **spoiled,
        )  # fmt: skip
        return array.train(tissue, blood, n0=4, tol=0.1)

    def inner() -> object:
        return pk_inv.deconv(conc.T, aif, step, tol=0.1)

    few = min(16, count)
    times = step * np.arange(conc.shape[1])

    def non_linear(parallel: bool) -> Callable[[], object]:
        return lambda: dcmri.TissueArray(
            (few,), kinetics="HF", sequence="SS", aif=blood, dt=step, r1=relaxivity, n0=4,
            parallel=parallel, **spoiled,
        ).train(times, tissue[:few])  # fmt: skip

    rows = (
        ("linear", "TissueLSArray", linear, count, ROUNDS),
        ("linear", "deconvolution", inner, count, ROUNDS),
        ("non-linear", "ordinary", non_linear(False), few, 1),
        ("non-linear", "best", non_linear(True), few, 1),
    )
    for kind, path, work, voxels, rounds in rows:
        spent = timed(work, voxels, rounds)
        yield {"method": f"extended_tofts {kind}", "peer": "dcmri", "path": path,
               "microseconds": spent, "voxels": voxels, "version": version("dcmri")}  # fmt: skip


def main() -> None:
    given = np.load(sys.argv[1])
    rows: list[Row] = []
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for part in (petpal_rows, dcmri_rows):
            try:
                rows += part(given)
            except ImportError as error:
                rows.append({"missing": part.__name__.split("_")[0], "reason": str(error)})
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
