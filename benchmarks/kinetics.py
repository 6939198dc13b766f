"""Speed of voxelwise kinetics, ours against the peers', and a whole body streamed through a map.

    python benchmarks/kinetics.py                              ours and scipy
    python benchmarks/kinetics.py --make-peers DIR             makes an environment with the peers
    python benchmarks/kinetics.py --peers DIR/bin/python       ours, scipy and the peers
    python benchmarks/kinetics.py --body --scratch DIR         a body of 4.2 million voxels

Every row is one method on the same noisy curves: microseconds per voxel, and the ratio to ours. The
peers run each on their ordinary path (the function that their manual shows) and on their best one
(their inner compiled routine, on prepared arrays). The machine's load stands above the table: two
cores that others use as well give slower and less steady figures.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from kinetics_curves import (
    DIFFERENT,
    Case,
    body_image,
    contrast_case,
    irreversible_case,
    reversible_case,
)

from igdd import catalog
from igdd.kinetics import Protocol
from igdd.stages import map_job
from igdd.stages.map import map_image

# antspyx and the rest are what petpal imports on loading; it asks for Python 3.12, and is told that
# it need not where this is an older one: what is timed here runs on both.
PEERS = ("petpal", "dcmri", "antspyx", "numba", "pandas", "nibabel", "lmfit", "scikit-learn",
         "seaborn", "networkx", "docker", "fslpy", "bids-validator", "simpleitk")  # fmt: skip
VOXELS, SLOW = 65536, 24
START = 1200.0  # s, t* of both plots
NOISE = 0.03
ROUNDS = 3
# What is promised: (method, peer, path or ""): ratio to ours.
PROMISED = {
    ("patlak", "petpal", ""): 20.0,
    ("logan", "petpal", ""): 20.0,
    ("two_tissue_irreversible", "scipy", ""): 500.0,
    ("two_tissue", "scipy", ""): 500.0,
    ("extended_tofts", "scipy", ""): 50.0,
    ("extended_tofts linear", "dcmri", "TissueLSArray"): 1.0,
}
FREE = {"two_tissue_irreversible": ("delay",)}
CLOSE = 1e-3
# Sizes [s, 1] by which these are judged where they are smaller: both may be zero.
FLOORS = {"delay": 10.0, "Vb": 0.05}
SAMPLE = 2000
MEGABYTE = 2**20


def best(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Seconds of the fastest of several rounds, after one that compiles."""
    work()
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def setup_of(model: str, case: Case, start: float | None = None) -> map_job.Setup:
    """The model made ready for a case's frames and inputs."""
    settings = map_job.Settings(start=start, free=FREE.get(model, ()), options={})
    return map_job.ready(
        catalog.find("models", model), case.frames, case.unit, case.inputs, settings
    )


def ours(model: str, case: Case, start: float | None = None) -> float:
    """Microseconds per voxel of our solver with standard errors and flags, in two threads."""
    from concurrent.futures import ThreadPoolExecutor

    solver = setup_of(model, case, start).solver
    by_frame = np.ascontiguousarray(case.curves.T.astype(np.float32))
    parts = np.array_split(np.arange(by_frame.shape[1]), 2)
    halves = [np.ascontiguousarray(by_frame[:, part]).T for part in parts]

    def work() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda half: solver(half, None), halves))

    return best(work) / len(case.curves) * 1e6


def scipy_fit(model: str, case: Case) -> float:
    """Microseconds per voxel of scipy's curve_fit on our own forward model, bounds as declared."""
    from scipy.optimize import curve_fit

    from igdd.stages.protocol import si_factor

    setup = setup_of(model, case)
    held = setup.protocol.held
    free = [one for one in setup.model.parameters if one.name not in held]
    factors = np.array([si_factor(one.unit) for one in free])
    first = np.array([one.start[0] if one.start else 0.0 for one in free])
    bounds = np.array([one.bounds for one in free]).T
    place = [row for row, one in enumerate(setup.model.parameters) if one.name not in held]
    known = np.array([held.get(one.name, 0.0) for one in setup.model.parameters])

    def forward(_: np.ndarray, *values: float) -> np.ndarray:
        parameters = known.copy()
        parameters[place] = np.array(values) * factors
        return np.asarray(setup.model.predict(parameters[None], setup.protocol)[0])

    times = case.frames.middle

    def work() -> None:
        for curve in case.curves[:SLOW]:
            try:
                curve_fit(forward, times, curve, p0=first, bounds=bounds)
            except RuntimeError:  # scipy gives up after its number of calls: that took its time
                continue

    return best(work, 1) / SLOW * 1e6


def cases() -> dict[str, Case]:
    irreversible = irreversible_case(VOXELS, NOISE)
    reversible = reversible_case(VOXELS, NOISE)
    return {
        "patlak": irreversible,
        "logan": reversible,
        "two_tissue_irreversible": irreversible,
        "two_tissue": reversible,
        "extended_tofts": contrast_case(VOXELS, NOISE),
    }


def timings(peers: Path | None) -> Iterator[dict[str, Any]]:
    """Rows of method, peer, path, microseconds per voxel."""
    every = cases()
    for model, case in every.items():
        declared = catalog.find("models", model)
        if not declared.voxelwise:
            yield {"missing": model, "reason": "the model makes no maps yet"}
            continue
        start = START if declared.closed else None
        yield {
            "method": model,
            "peer": "igdd",
            "path": "",
            "microseconds": ours(model, case, start),
        }
        if not declared.closed:
            spent = scipy_fit(model, case)
            yield {"method": model, "peer": "scipy", "path": "curve_fit", "microseconds": spent}
    if peers is not None:
        yield from peer_rows(peers, every)


def peer_rows(python: Path, every: dict[str, Case]) -> list[dict[str, Any]]:
    """What the peers take for the same curves, in their own environment."""
    case, contrast = every["patlak"], every["extended_tofts"]
    plasma = Protocol(frames=case.frames, inputs=case.inputs, integration="instant").mean("plasma")
    arterial = Protocol(frames=contrast.frames, inputs=contrast.inputs).mean("plasma")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "curves.npz"
        np.savez(
            path,
            middle=case.frames.middle,
            plasma_at_middle=plasma[0],
            patlak=every["patlak"].curves[:8192],
            logan=every["logan"].curves[:8192],
            start=START,
            contrast=contrast.curves[:8192],
            contrast_input=arterial[0],
            contrast_step=contrast.frames.duration[0],
        )
        script = Path(__file__).with_name("kinetics_peers.py")
        told = subprocess.run(
            [str(python), str(script), str(path)], capture_output=True, text=True, check=False
        )
    if told.returncode:
        raise SystemExit(f"the peers failed:\n{told.stderr}")
    rows: list[dict[str, Any]] = json.loads(told.stdout)
    return rows


def make_peers(folder: Path) -> Path:
    """A virtual environment with the peers; answers its Python."""
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "-q"]
    subprocess.run([*install, "--ignore-requires-python", "--no-deps", PEERS[0]], check=True)
    subprocess.run([*install, *PEERS[1:]], check=True)
    return python


def show(rows: list[dict[str, Any]]) -> bool:
    """Print the table; whether every promise that could be tried is kept."""
    own = {row["method"]: row["microseconds"] for row in rows if row.get("peer") == "igdd"}
    kept = True
    print(f"{'method':28} {'peer':8} {'path':13} {'us/voxel':>12} {'ratio':>9}  promise")
    for row in rows:
        if "missing" in row:
            print(f"{row['missing']:28} not timed: {row['reason']}")
            continue
        base = own.get(row["method"].split(" ")[0], float("nan"))
        ratio = row["microseconds"] / base
        key = (row["method"], row["peer"])
        wanted = PROMISED.get((*key, row["path"]), PROMISED.get((*key, "")))
        words = ""
        if wanted is not None:
            met = ratio >= wanted
            kept &= met
            words = f">= {wanted:g}: {'yes' if met else 'NO'}"
        print(
            f"{row['method']:28} {row['peer']:8} {row['path']:13} {row['microseconds']:12.3f} "
            f"{ratio:9.1f}  {words}"
        )
    return kept


class Memory:
    """Watches this process's anonymous memory; `most` is the largest seen, in bytes."""

    def __init__(self) -> None:
        self.most = self.first = anonymous()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._over.wait(0.01):
            self.most = max(self.most, anonymous())

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def anonymous() -> int:
    """Anonymous resident memory of this process in bytes (Linux)."""
    with open("/proc/self/status") as stream:
        line = next(line for line in stream if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


BODY_MAPS = (
    ("patlak", {"start": START}, 3.0),
    ("two_tissue_irreversible", {"shared": ("delay",)}, 25.0),
    ("two_tissue_irreversible", {"free": ("delay",)}, 25.0),
)


def body(scratch: Path, noise: float) -> bool:
    """Maps of a whole body from disk: seconds, memory, and agreement with the converged fit."""
    path = scratch / f"body_{noise:g}_pet.nii"
    if not path.exists():
        print(f"writing {path} ...")
        body_image(path, noise)
    case = irreversible_case(DIFFERENT, 0.0)
    kept = True
    for model, settings, limit in BODY_MAPS:
        if not catalog.find("models", model).voxelwise:
            print(f"{model}: not timed: the model makes no maps yet")
            continue
        small = scratch / "small_pet.nii"
        body_image(small, noise, (32, 32, 4))
        map_image(model, small, case.inputs, out=scratch / "small", **settings)
        remember(path)
        with Memory() as memory:
            begun, spent = time.perf_counter(), time.process_time()
            found = map_image(model, path, case.inputs, out=scratch / model, **settings)
            seconds, processor = time.perf_counter() - begun, time.process_time() - spent
        share = agreement(model, path, found, case, as_region(settings, found))
        good = seconds <= limit and memory.most <= 1000 * MEGABYTE and share >= 0.999
        kept &= good
        print(
            f"{model}: {found.voxels} voxels in {seconds:.2f} s (<= {limit:g} s; {processor:.2f} s "
            f"of processor), {seconds / found.voxels * 1e6:.3f} us/voxel, anonymous memory "
            f"{memory.most / MEGABYTE:.0f} MB (<= 1000; {memory.first / MEGABYTE:.0f} before), "
            f"{share:.2%} of {SAMPLE} within {CLOSE:g} of the converged fit (>= 99.9 %): "
            f"{'yes' if good else 'NO'}"
        )
        print(f"    flags: {found.counts}")
    return kept


def remember(path: Path) -> None:
    """Read a file, so that it lies in the system's memory: it is not the disk that is timed."""
    with path.open("rb") as stream:
        while stream.read(16 * MEGABYTE):
            pass


def as_region(settings: dict[str, Any], found: Any) -> dict[str, Any]:
    """What a region fit is told to see each voxel as the map did: one delay for all of them."""
    if "shared" not in settings:
        return settings
    return {"hold": {name: f"{found.notes[f'{name}_shared']!r} s" for name in settings["shared"]}}


def agreement(model: str, path: Path, found: Any, case: Case, settings: dict[str, Any]) -> float:
    """Share of sampled voxels whose mapped parameters all lie within `CLOSE` of the fit of their
    own curve, refined to convergence on the model itself."""
    from igdd.io import nifti_header
    from igdd.stages.fit import fit
    from igdd.stages.protocol import si_factor
    from igdd.types import Curves

    header = nifti_header.read_header(path)
    stored = np.memmap(path, header.stored, "r", header.offset, (header.shape[3], header.grid.size))
    chosen = np.sort(np.random.default_rng(0).choice(header.grid.size, SAMPLE, replace=False))
    curves = np.array(stored[:, chosen], dtype=float).T
    region = fit(
        model,
        Curves(
            values=curves,
            covariance=np.full((curves.shape[1], SAMPLE, SAMPLE), np.nan),
            volume=np.ones(SAMPLE),
            volume_sd=np.zeros(SAMPLE),
            names=tuple(map(str, chosen)),
            kinds=("organ",) * SAMPLE,
            frames=case.frames,
            quantity="activity_concentration",
            unit=case.unit,
            analyte="label",
        ),
        case.inputs,
        **settings,
    )

    near = np.ones(SAMPLE, dtype=bool)
    for column, (name, unit) in enumerate(zip(region.parameters, region.display, strict=True)):
        if name not in found.maps:
            continue
        expected = region.values[:, column] / si_factor(unit)
        mapped = nifti_header.read_header(found.maps[name])
        values = np.memmap(found.maps[name], "<f4", "r", mapped.offset)[chosen]
        size = np.maximum(np.abs(expected), FLOORS.get(name, 1e-12))
        away = np.abs(values - expected) / size
        print(f"    {name}: {np.mean(away <= CLOSE):.2%} near, median {np.median(away):.1e}")
        near &= away <= CLOSE
    return float(near.mean())


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--peers", type=Path, help="Python of the peers' environment")
    parser.add_argument("--make-peers", type=Path, help="folder for a new one, with the peers")
    parser.add_argument("--body", action="store_true", help="map a body of 4.2 million voxels")
    parser.add_argument("--scratch", type=Path, help="folder for the body, 1.2 GB")
    parser.add_argument("--noise", type=float, default=NOISE, help="of the body, in its last frame")
    asked = parser.parse_args()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    if asked.body:
        if asked.scratch is not None:
            return 0 if body(asked.scratch, asked.noise) else 1
        with tempfile.TemporaryDirectory() as scratch:
            return 0 if body(Path(scratch), asked.noise) else 1
    peers = make_peers(asked.make_peers) if asked.make_peers else asked.peers
    return 0 if show(list(timings(peers))) else 1


if __name__ == "__main__":
    raise SystemExit(main())
