"""The five ways in which igdd refuses to go on, and the loader of optional packages.

An error says where, what was found, what was expected, and how to mend it.
"""

from __future__ import annotations

import importlib
from types import ModuleType


class IgddError(Exception):
    """Base of every error that igdd raises on purpose; shown without a trace."""


class StudyError(IgddError):
    """The study document is wrong or incomplete."""


class InputError(IgddError):
    """A file or an array is wrong, missing or hostile."""


class UnitsError(IgddError):
    """A quantity lacks a unit, or its unit does not fit."""


class FitError(IgddError):
    """A fit cannot be done with what was given."""


class MissingExtra(IgddError):
    """An optional package is not installed."""


def need(module: str, extra: str) -> ModuleType:
    """Import an optional module, or say which extra brings it.

    >>> need("json", extra="web").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{module} is not installed; expected for this step; "
            f"install it with: pip install 'igdd[{extra}]'"
        ) from error
