"""Response maps: how an image answers to a filter of IBSI 2 (arXiv:2006.05470)."""

from __future__ import annotations

import math
import tomllib
from functools import cache
from importlib.resources import files

import numpy as np

from igdd.errors import InputError
from igdd.kernels import filters_separable
from igdd.metrics.ibsi_filters import FARTHEST, Box, Filter, parse


@cache
def reference_filters() -> dict[str, Filter]:
    """The filters of the 33 response maps of IBSI 2, phase 1, by their number, such as "3.b.2"."""
    text = files("igdd").joinpath("metrics", "ibsi_response_maps.toml").read_text("utf-8")
    return {name: parse(table) for name, table in tomllib.loads(text).items()}


def farthest(settings: Filter, spacing: np.ndarray) -> tuple[float, ...]:
    """Voxels (3,) that a filter reaches on voxels of a size in mm; refused where that is absurd."""
    reach = settings.reach(spacing)
    finite = [one for one in reach if math.isfinite(one)]
    if finite and max(finite) > FARTHEST:
        raise InputError(
            f"filter {settings.method} reaches {max(finite):.4g} voxels on either side; expected "
            f"at most {FARTHEST}; are its lengths in mm?"
        )
    return reach


def response(
    image: np.ndarray, spacing: np.ndarray, settings: Filter, box: Box | None = None
) -> np.ndarray:
    """Response map (i, j, k) of an image; NaN wherever a voxel without a value has a part in it.

    spacing  (3,) voxel size in mm along i, j, k
    box      the part of the image whose responses are wanted; all of it by default

    >>> from igdd.metrics.ibsi_filters import Mean
    >>> mean = Mean(padding="mirror", dimensions=3, support=3)
    >>> float(response(np.arange(27.0).reshape(3, 3, 3), np.ones(3), mean)[1, 1, 1].round(9))
    13.0
    """
    sizes = np.asarray(spacing, dtype=float)
    reach = farthest(settings, sizes)
    values = np.asarray(image, dtype=float)
    wanted = box or filters_separable.whole(values)
    unknown = ~np.isfinite(values)
    if not unknown.any():
        return settings.respond(values, sizes, wanted)
    found = settings.respond(np.where(unknown, 0.0, values), sizes, wanted)
    around = [1 + 2 * int(min(one, size)) for one, size in zip(reach, values.shape, strict=True)]
    found[filters_separable.near(unknown, around, settings.padding)[wanted]] = np.nan
    return found
