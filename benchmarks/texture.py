"""Speed of the 169 IBSI features against z-rad and MIRP: one table, from one run.

Run: python benchmarks/texture.py [--peers PYTHON] [--rounds N]

PYTHON is that of an environment with `z-rad` and `mirp`, which would not fit into the project's
own. Regions of 30,000 voxels in images of 128^3 voxels of 2 mm, 32 bins, in the volume, directions
merged; after one call to warm up, every timed call gets an image and a mask of its own. The engines
take turns, so that all meet the same moments of a busy machine. Values are compared, too.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

SPACING = 2.0
SIZE = 128
VOXELS = 30_000
BINS = 32
TARGETS = {"igdd": "<= 0.3 s", "z-rad": "igdd >= 4 x", "mirp": "igdd >= 10 x"}
RATIOS = {"z-rad": 4.0, "mirp": 10.0}
# How far two values may lie apart and still count as equal; meshes are single precision.
EQUAL = 1e-4

Engine = Callable[[np.ndarray, np.ndarray], dict[str, float]]


def case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A correlated image, and a lumpy region of exactly 30,000 voxels somewhere in its middle."""
    rng = np.random.default_rng(seed)
    image = gaussian_filter(rng.normal(size=(SIZE,) * 3), 1.5) * 20 + 5
    centre = (SIZE - 1) / 2 + rng.uniform(-3, 3, 3)
    distance = np.sqrt(
        sum((axis - c) ** 2 for axis, c in zip(np.indices(image.shape), centre, strict=True))
    )
    distance += gaussian_filter(rng.normal(size=image.shape), 3) * 8
    mask = np.zeros(image.shape, bool)
    mask.ravel()[np.argsort(distance.ravel())[:VOXELS]] = True
    return image.astype(np.float32), mask


def of_igdd() -> Engine:
    from igdd.metrics.ibsi_configuration import configuration
    from igdd.metrics.texture import features

    settings = configuration("volume")
    spacing = np.full(3, SPACING)
    return lambda image, mask: dict(features(image, mask, spacing, settings).values)


def of_zrad() -> Engine:
    from zrad.image import Image
    from zrad.preprocessing import (
        IntensityMaskBuilder,
        IVHIntensityDiscretizer,
        Pipeline,
        RoiData,
        TextureDiscretizer,
    )
    from zrad.radiomics import Radiomics

    place = {"origin": (0, 0, 0), "spacing": (SPACING,) * 3, "shape": (SIZE,) * 3}
    place["direction"] = tuple(np.eye(3).ravel())
    prepare = Pipeline(
        [
            ("intensity", IntensityMaskBuilder()),
            ("texture", TextureDiscretizer(number_of_bins=BINS)),
            ("ivh", IVHIntensityDiscretizer(method="fixed_bin_number", number_of_bins=1000)),
        ]
    )

    def engine(image: np.ndarray, mask: np.ndarray) -> dict[str, float]:
        region = RoiData(
            image=Image(array=image.astype(float).T, **place),
            morphological_mask=Image(array=mask.astype(np.int8).T, **place),
        )
        extractor = Radiomics(aggr_dim="3D", aggr_method="MERG")
        return extractor.extract_features(prepare.apply(region), families="all")

    return engine


def of_mirp() -> Engine:
    """It takes voxel sizes from files only: reading two (0.1 s of seconds) is in its time."""
    import mirp
    import SimpleITK

    logging.disable(logging.INFO)
    folder = Path(tempfile.mkdtemp())

    def engine(image: np.ndarray, mask: np.ndarray) -> dict[str, float]:
        paths = []
        for name, array in (("image", image), ("mask", mask.astype(np.uint8))):
            stored = SimpleITK.GetImageFromArray(array.T)
            stored.SetSpacing((SPACING,) * 3)
            paths.append(str(folder / f"{name}.nii"))
            SimpleITK.WriteImage(stored, paths[-1])
        (table,) = mirp.extract_features(
            image=paths[0],
            mask=paths[1],
            image_modality="mr",  # the intensities of "ct" would be rounded
            base_feature_families="all",
            base_discretisation_method="fixed_bin_number",
            base_discretisation_n_bins=BINS,
            glcm_spatial_method="3d_volume_merge",
            glrlm_spatial_method="3d_volume_merge",
            ivh_discretisation_method="fixed_bin_number",
            ivh_discretisation_n_bins=1000,
        )
        return {
            name: value
            for name, value in table.iloc[0].items()
            if isinstance(value, int | float | np.number)
        }

    return engine


ENGINES = {"igdd": of_igdd, "z-rad": of_zrad, "mirp": of_mirp}


def serve(name: str) -> None:
    """Time one call for each seed on standard input; the answers go to standard output."""
    engine = ENGINES[name]()
    for line in sys.stdin:
        image, mask = case(int(line))
        begun = time.perf_counter()
        values = engine(image, mask)
        seconds = time.perf_counter() - begun
        plain = {str(tag): float(value) for tag, value in values.items()}
        sys.stdout.write("answer " + json.dumps([seconds, plain]) + "\n")
        sys.stdout.flush()


def ask(process: subprocess.Popen[str], seed: int) -> tuple[float, dict[str, float]]:
    """The seconds and the values of one case, from an engine's process."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    process.stdin.write(f"{seed}\n")
    process.stdin.flush()
    for line in process.stdout:
        if line.startswith("answer "):
            seconds, values = json.loads(line.removeprefix("answer "))
            return seconds, values
    raise RuntimeError(f"an engine ended without an answer: {process.args}")


def bare(values: dict[str, float]) -> dict[str, float]:
    """Values by tag without what engines append of aggregation and bins."""
    from igdd.metrics.texture import table

    known = sorted((feature.tag for feature in table()), key=len, reverse=True)
    found: dict[str, float] = {}
    for name, value in values.items():
        tag = next((tag for tag in known if name == tag or name.startswith(f"{tag}_")), None)
        rest = "" if tag is None else name[len(tag) :].replace("2_5D", "")
        if tag is not None and (
            not rest or rest.startswith(("_3D", "_3d", "_d1", "_fbn", "_none"))
        ):
            found.setdefault(tag, value)
    return found


def equal(ours: dict[str, float], theirs: dict[str, float]) -> tuple[int, int, list[str]]:
    """How many features both have, how many are equal, and which are not."""
    first, second = bare(ours), bare(theirs)
    shared = sorted(set(first) & set(second))
    same = [tag for tag in shared if np.isclose(first[tag], second[tag], rtol=EQUAL, atol=1e-9)]
    return len(shared), len(same), sorted(set(shared) - set(same))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--peers", help="python of an environment with z-rad and mirp")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", choices=list(ENGINES), help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.serve:
        serve(words.serve)
        return 0
    pythons = {"igdd": sys.executable}
    pythons |= dict.fromkeys(("z-rad", "mirp"), words.peers) if words.peers else {}
    processes = {
        name: subprocess.Popen(
            [python, __file__, "--serve", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for name, python in pythons.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in processes}
    values: dict[str, dict[str, float]] = {}
    for seed in range(words.rounds + 1):
        for name, process in processes.items():
            taken, values[name] = ask(process, seed)
            if seed:  # the first call warms up
                seconds[name].append(taken)
    for process in processes.values():
        process.terminate()
    return report(seconds, values)


def report(seconds: dict[str, list[float]], values: dict[str, dict[str, float]]) -> int:
    """Print the table; 1 where a target is missed."""
    ours = float(np.median(seconds["igdd"]))
    missed = not ours <= 0.3
    print(f"{'engine':8}{'median s':>10}{'best s':>9}{'ratio':>8}{'values':>8}{'equal':>9}  target")
    for name, taken in seconds.items():
        ratio = float(np.median(taken)) / ours
        missed = missed or ratio < RATIOS.get(name, 0.0)
        shared, same, apart = equal(values["igdd"], values[name])
        print(
            f"{name:8}{np.median(taken):10.3f}{min(taken):9.3f}{ratio:8.1f}{len(values[name]):8d}"
            f"{f'{same}/{shared}':>9}  {TARGETS[name]}"
        )
        if apart:
            print(f"{'':8}differ: {', '.join(apart)}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
