"""A session's result on disk: rows, pictures and sentences, whole or absent.

A folder with `session.json` (key, inputs, methods, kinds, what is said of pictures and fits),
`measurements.parquet` and `panels.npz`. It is written under a temporary name and renamed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.results import FittedCurves, Panel

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredSession:
    """What a session leaves for the study: rows, pictures, sentences, the hashes of its inputs.

    maps  folder of parametric maps; `store` moves it into the session's own
    """

    measurements: pd.DataFrame
    panels: tuple[Panel, ...]
    methods: tuple[str, ...]
    kinds: Mapping[str, str]
    inputs: Mapping[str, str]
    fits: tuple[FittedCurves, ...] = ()
    maps: Path | None = None


def store(folder: Path, key: str, session: StoredSession) -> None:
    """Write a session's result; `key` says of which plan, inputs and versions it is."""
    draft = folder.parent / f".{folder.name}.{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    session.measurements.to_parquet(draft / "measurements.parquet", index=False)
    arrays: dict[str, np.ndarray] = {}
    titles = [_describe(number, panel, arrays) for number, panel in enumerate(session.panels)]
    fits = [_describe_fit(number, fit, arrays) for number, fit in enumerate(session.fits)]
    with (draft / "panels.npz").open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)
    header = {
        "key": key,
        "inputs": dict(session.inputs),
        "methods": list(session.methods),
        "kinds": dict(session.kinds),
        "panels": titles,
        "fits": fits,
    }
    (draft / "session.json").write_text(json.dumps(header, sort_keys=True), encoding="utf-8")
    if session.maps is not None:
        shutil.move(session.maps, draft / "maps")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def stored_key(folder: Path) -> str | None:
    """The key of a stored session, or None where there is none that can be read."""
    try:
        header = json.loads((folder / "session.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return header.get("key") if isinstance(header, dict) else None


def load(folder: Path) -> StoredSession:
    """A stored session."""
    import pandas as pd

    header = json.loads((folder / "session.json").read_text(encoding="utf-8"))
    with np.load(folder / "panels.npz", allow_pickle=False) as arrays:
        panels = tuple(
            _panel(number, title, arrays) for number, title in enumerate(header["panels"])
        )
        fits = tuple(_fit(number, said, arrays) for number, said in enumerate(header["fits"]))
    return StoredSession(
        measurements=pd.read_parquet(folder / "measurements.parquet"),
        panels=panels,
        methods=tuple(header["methods"]),
        kinds=header["kinds"],
        inputs=header["inputs"],
        fits=fits,
    )


def _describe(number: int, panel: Panel, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """What is said of a panel; its numbers go into `arrays`, outlines at a bit for each pixel."""
    arrays[f"{number}_pixels"] = panel.pixels
    if panel.under is not None:
        arrays[f"{number}_under"] = panel.under
    if panel.flagged is not None:
        arrays[f"{number}_flagged"] = np.packbits(panel.flagged, axis=1)
    names = sorted(panel.outlines)
    for order, name in enumerate(names):
        arrays[f"{number}_outline_{order}"] = np.packbits(panel.outlines[name], axis=1)
    return {
        "subject": panel.subject,
        "session": panel.session,
        "kind": panel.kind,
        "title": panel.title,
        "spacing": list(panel.spacing),
        "quantity": panel.quantity,
        "unit": panel.unit,
        "kinds": dict(panel.kinds),
        "outlines": names,
        "columns": panel.pixels.shape[1],
    }


_FIT_ARRAYS = ("time", "values", "predicted", "input_time", "input_values", "aicc")


def _describe_fit(number: int, fit: FittedCurves, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """What is said of a fit; its numbers go into `arrays`."""
    for name in _FIT_ARRAYS:
        arrays[f"fit_{number}_{name}"] = getattr(fit, name)
    return {
        "subject": fit.subject,
        "session": fit.session,
        "model": fit.model,
        "regions": list(fit.regions),
        "parameters": list(fit.parameters),
        "unit": fit.unit,
        "quantity": fit.quantity,
        "notes": [dict(note) for note in fit.notes],
    }


def _fit(number: int, said: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> FittedCurves:
    held: dict[str, Any] = {name: arrays[f"fit_{number}_{name}"] for name in _FIT_ARRAYS}
    lists: dict[str, Any] = {
        name: tuple(said.pop(name)) for name in ("regions", "parameters", "notes")
    }
    return FittedCurves(**said, **lists, **held)


def _panel(number: int, title: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Panel:
    columns = title.pop("columns")

    def mask(name: str) -> np.ndarray:
        return np.unpackbits(arrays[f"{number}_{name}"], axis=1, count=columns).astype(bool)

    return Panel(
        outlines={name: mask(f"outline_{order}") for order, name in enumerate(title["outlines"])},
        **{key: value for key, value in title.items() if key not in ("outlines", "spacing")},
        spacing=tuple(title["spacing"]),
        pixels=arrays[f"{number}_pixels"],
        under=arrays.get(f"{number}_under"),
        flagged=mask("flagged") if f"{number}_flagged" in arrays else None,
    )
