"""Every speed that the project promises, measured in one run: a table of values and targets.

Run: python benchmarks/run.py [reading] [help] [sampling] [demo]    (all of them without a name)

Each row is one of the design's targets. A row whose code is not installed is skipped, and says so.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Row = tuple[str, float, str, bool]


def best(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest of several rounds."""
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def reading() -> Row:
    """600 PET slices against a plain loop of dcmread, pixel_array and a scaled stack."""
    from read_dicom import plain_loop, write_series

    from igdd.io.dicom_series import read

    with tempfile.TemporaryDirectory() as place:
        write_series(Path(place), 600)
        plain, ours = [], []
        for _ in range(5):  # in turn, so that both meet the same moments of a busy machine
            plain.append(best(lambda: plain_loop(Path(place)), 1))
            ours.append(best(lambda: read(Path(place)), 1))
    ratio = min(plain) / min(ours)
    words = f"of the plain loop's speed ({min(ours):.2f} s against {min(plain):.2f} s); >= 0.80"
    return ("reading 600 PET slices", ratio, words, ratio >= 0.8)


def command_help() -> Row:
    """The command line's answer to --help, which imports no library."""
    command = [sys.executable, "-m", "igdd", "--help"]
    seconds = best(lambda: subprocess.run(command, capture_output=True, check=True), 7)
    return ("igdd --help", seconds, "s; <= 0.3", seconds <= 0.3)


def sampling() -> Row:
    """Sampling with partial-volume correction: 2 million voxels, 15 regions, one frame."""
    from scipy import sparse

    from igdd.facts import Scanner
    from igdd.stages.sample import sample
    from igdd.types import Frames, Grid, Image, Regions, Zero

    grid = Grid(shape=(128, 128, 128), affine=np.diag([4.0, 4.0, 4.0, 1.0]))
    generator = np.random.default_rng(0)
    places = np.stack(np.unravel_index(np.arange(grid.size), grid.shape), axis=1)
    masks, taken = [], np.zeros(grid.size, bool)
    for radius in np.linspace(3, 14, 15):
        centre = generator.uniform(20, 108, 3)
        mask = (((places - centre) ** 2).sum(axis=1) <= radius**2) & ~taken
        taken |= mask
        masks.append(sparse.csr_matrix(mask.astype(float)[None]))
    names = tuple(f"region_{number}" for number in range(15))
    regions = Regions(
        weights=sparse.csr_matrix(sparse.vstack(masks)),
        names=names, kinds=("organ",) * 15, grid=grid,
    )  # fmt: skip
    frames = Frames(start=np.zeros(1), duration=np.full(1, 600.0), zero=Zero(kind="scan_start"))
    image = Image(
        values=generator.normal(1000, 100, (*grid.shape, 1)).astype(np.float32), grid=grid,
        quantity="activity_concentration", unit="Bq/mL", analyte="label", frames=frames,
    )  # fmt: skip
    scanner = Scanner(psf=6.0, psf_sd=0.4, boundary_sd=1.2)
    seconds = best(lambda: sample(image, regions, scanner), 3)
    return ("sampling with correction", seconds, "s a scan of 2.1e6 voxels, 15 regions", True)


def demo() -> Row:
    """The virtual trial: simulated, computed and reported."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "igdd", "demo", "--out", f"{place}/demo", "--json"]
        seconds = best(lambda: subprocess.run(command, capture_output=True, check=True), 1)
    return ("igdd demo", seconds, "s; <= 90 on two cores", seconds <= 90)


ROWS = {"reading": reading, "help": command_help, "sampling": sampling, "demo": demo}


def main() -> None:
    wanted = sys.argv[1:] or list(ROWS)
    if set(wanted) - set(ROWS):
        sys.exit(f"{' '.join(wanted)}: expected some of {', '.join(ROWS)}")
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}")
    failed = False
    for name in wanted:
        try:
            label, value, words, met = ROWS[name]()
        except ImportError as error:
            print(f"{name:26s} skipped: {error}")
            continue
        print(f"{label:26s} {value:8.2f} {words}{'' if met else '  NOT MET'}", flush=True)
        failed |= not met
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
