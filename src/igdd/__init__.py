"""igdd: image-guided drug delivery, from the scanner's files to the answer.

Everything is imported on first use, so that `igdd --help` stays fast.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Public name -> module, with the name inside it where that differs.
_PLACES = {
    "Estimate": "igdd.uncertainty",
    "Frames": "igdd.types",
    "Grid": "igdd.types",
    "Image": "igdd.types",
    "Regions": "igdd.types",
    "Curves": "igdd.types",
    "Study": "igdd.study",
    "load_study": "igdd.study",
    "SuvFactor": "igdd.modalities.pet",
    "suv_factor": "igdd.modalities.pet",
    "activity": "igdd.decay",
    "chain_activities": "igdd.decay",
    "compare_models": "igdd.stages.fit",
    "concentration": "igdd.stages.concentration",
    "decay_factor": "igdd.decay",
    "delivery": "igdd.stages.delivery",
    "dose": "igdd.stages.dose",
    "dose_occupancy": "igdd.stages.dose_occupancy",
    "dual_input": "igdd.stages.inputs",
    "dose_map": "igdd.stages.dose_call",
    "InputCurve": "igdd.kinetics",
    "fit": "igdd.stages.fit",
    "five_state": "igdd.stages.five_state",
    "heat_release": "igdd.stages.heat_release",
    "image_derived": "igdd.stages.inputs",
    "individual": "igdd.stages.individual",
    "interstitium": "igdd.stages.interstitium",
    "ivivc": "igdd.stages.ivivc",
    "map": "igdd.stages.map:map_image",
    "population_input": "igdd.stages.inputs",
    "read_curves": "igdd.io.tac_table:read",
    "read_inputs": "igdd.stages.inputs",
    "reference_input": "igdd.stages.inputs",
    "nca": "igdd.stages.nca",
    "nca_sparse": "igdd.stages.nca_sparse",
    "nuclide": "igdd.decay",
    "pbpk": "igdd.stages.pbpk",
    "release": "igdd.stages.release",
    "retention": "igdd.stages.label_retention",
    "run": "igdd.line",
    "scale": "igdd.stages.scale",
    "shedding": "igdd.stages.label_stability",
    "simultaneous_input": "igdd.stages.simultaneous",
    "t1": "igdd.stages.relaxation",
    "thermosensitive": "igdd.stages.thermosensitive",
    "uptake_model": "igdd.stages.uptake_model",
}

__all__ = [*sorted(_PLACES), "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'igdd' has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    return getattr(importlib.import_module(module), attribute or name)


def __dir__() -> list[str]:
    return __all__
