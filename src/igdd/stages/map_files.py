"""What a map needs to know of its image's files, and the accounts written beside the maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from igdd import provenance
from igdd.declare import Model, Parameter
from igdd.errors import InputError
from igdd.flags import FLAGS
from igdd.io import bids, nifti_header, sidecar, streamed
from igdd.kinetics import Protocol, Status
from igdd.types import Decay, Frames, Grid, Image

REMEDY = "complete the JSON beside the image, or give frames and unit"


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """A dynamic image before a sample of it is read: frames, unit, and its files."""

    frames: Frames
    unit: str
    source: str
    files: tuple[Path, ...] = ()
    decay: Decay | None = None


def describe(
    image: Path | str | Image, frames: Frames | None, unit: str | None, nuclide: str | None = None
) -> Seen:
    """Frames, unit and nuclide of an image, as given, else from the image or its PET-BIDS sidecar.

    Times of a sidecar count from its TimeZero, as those of PET-BIDS blood do.
    """
    if isinstance(image, Image):
        seen = Seen(
            frames=image.frames if frames is None else frames,
            unit=image.unit if unit is None else unit,
            source=image.source,
            decay=image.decay,
        )
        count = image.values.shape[3]
    else:
        path = Path(image)
        count = nifti_header.read_header(path).shape[3]
        facts, files = sidecar.read_sidecar(path)
        seen = Seen(
            frames=_frames(facts, path, count) if frames is None else frames,
            unit=_unit(facts, path) if unit is None else unit,
            source=str(path),
            files=(path, *files),
            decay=sidecar.decay_of(facts, path, nuclide),
        )
    if seen.frames.start.size != count:
        raise InputError(
            f"{seen.source or 'image'}: has {count} frames, but times are given for "
            f"{seen.frames.start.size}; expected one start and duration for each"
        )
    if count < 2:
        raise InputError(
            f"{seen.source or 'image'}: has one frame; expected a dynamic image (i, j, k, t)"
        )
    return seen


def _frames(facts: Mapping[str, Any], path: Path, count: int) -> Frames:
    found = []
    for key in ("FrameTimesStart", "FrameDuration"):
        if key not in facts:
            raise InputError(
                f"{path}: {key} is missing from its sidecar; expected {count} numbers; {REMEDY}"
            )
        found.append(np.array(facts[key], dtype=float))
    sidecar.check_frames(dict(facts), count, path)
    try:
        return Frames(start=found[0], duration=found[1], zero=sidecar.zero_of(facts))
    except InputError as error:
        raise InputError(f"{path}: FrameTimesStart, FrameDuration: {error}") from error


def _unit(facts: Mapping[str, Any], path: Path) -> str:
    if not facts.get("Units"):
        raise InputError(
            f"{path}: Units is missing from its sidecar; expected a unit such as Bq/mL; {REMEDY}"
        )
    return str(facts["Units"])


@contextmanager
def opened_mask(
    mask: Path | str | np.ndarray | None, grid: Grid, scratch: Path
) -> Iterator[streamed.Pieces | None]:
    """The mask in pieces that keep step with the image's; None: every voxel counts."""
    if mask is None:
        yield None
    elif isinstance(mask, np.ndarray):
        if mask.shape != grid.shape:
            raise InputError(f"the mask has shape {mask.shape}; expected the image's {grid.shape}")
        yield streamed.of_array(mask[..., None], grid, "mask")
    else:
        with streamed.opened(Path(mask), scratch) as pieces:
            if pieces.frames != 1:
                raise InputError(f"{mask}: has {pieces.frames} volumes; expected a mask of one")
            if pieces.grid.equals(grid):
                yield pieces
            else:
                yield _brought(Path(mask), grid)


def _brought(mask: Path, grid: Grid) -> streamed.Pieces:
    """A mask on another grid, as `igdd tacs` brings regions over: re-indexed where the lattice is
    the image's under flips or another field of view, else by overlap of volume."""
    from igdd import catalog

    weights = np.asarray(catalog.read_regions(mask, grid).weights.sum(axis=0))
    return streamed.of_array(weights.reshape((*grid.shape, 1)), grid, str(mask))


def hashes(files: tuple[Path, ...]) -> dict[str, str]:
    """SHA-256 of files by name."""
    return {file.name: provenance.sha256(file) for file in files}


def write_accounts(
    folder: Path, model: Model, shown: tuple[Parameter, ...], facts: Mapping[str, Any]
) -> Path:
    """The JSON of the whole, of the flags and of each map; answers the first."""
    bids.write_json(folder / "flags.json", {"Description": "bits, summed; 0: none", "Bits": {
        str(bit.value): {"Name": bit.flags[0], "Meaning": FLAGS[bit.flags[0]]} for bit in Status
    }})  # fmt: skip
    parameters = {}
    for one in shown:
        code = {"CAPLEX": one.code} if one.code else {}
        about = {"Description": one.help or one.name, "Units": one.unit, **code}
        parameters[one.name] = about
        bids.write_json(folder / f"{one.name}.json", {**about, "Model": model.name})
        bids.write_json(
            folder / f"{one.name}_sd.json",
            {**about, "Description": f"standard error of {one.name}", "Model": model.name},
        )
    return bids.write_json(
        folder / "map.json",
        {
            "Model": model.name,
            "ModelVersion": model.version,
            "Reference": model.reference,
            "Parameters": parameters,
            **facts,
            "Software": provenance.versions(),
            "Code": provenance.code(),
        },
    )


def protocol_facts(protocol: Protocol, seen: Seen) -> dict[str, Any]:
    """Frames, inputs and settings of the fit, in s and SI, for the account."""
    frames = protocol.frames
    return {
        "Image": {"Source": Path(seen.source).name if seen.files else seen.source,
                  "Units": seen.unit},
        "FrameTimesStart": frames.start,
        "FrameDuration": frames.duration,
        "Integration": protocol.integration,
        "Held": dict(protocol.held),
        "Options": dict(protocol.options),
        "Inputs": {
            role: {
                "Source": curve.source,
                "Compartment": curve.compartment,
                "Substance": curve.substance,
                "Samples": curve.time.size,
                "Ends": curve.time[-1],
                "Flags": list(curve.flags),
            }
            for role, curve in protocol.inputs.items()
        },
    }  # fmt: skip
