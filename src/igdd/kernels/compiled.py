"""numba's `njit`, how kernels are compiled, and word of it while the compiler works.

A kernel is compiled when it is first called on a machine, and kept beside its source. The largest
takes a minute or two, which the logger COMPILER says once to whoever waits for it.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from numba import njit
from numba.core import event

from igdd.kernels import COMPILER

__all__ = ["INLINE", "JIT", "LEAN", "njit"]

JIT = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": True}
# What makes no array need not count who holds one. Kernels hand on dozens of arrays, and to count
# their holders can take longer than the arithmetic.
LEAN = JIT | {"_nrt": False}
INLINE = LEAN | {"forceinline": True}

PATIENCE = 3.0  # s of compiling before anything is said
WORDS = "compiling numerical code for this machine: only this once, for a minute or two"


class Word(event.Listener):  # type: ignore[misc]
    """Says once that the compiler works, when that has taken longer than our patience."""

    def __init__(self) -> None:
        self.depth, self.begun, self.said = 0, 0.0, False

    def on_start(self, event: Any) -> None:
        """A function is about to be compiled, often for another that waits for it."""
        now = time.monotonic()
        if self.depth == 0:
            self.begun = now
        self.depth += 1
        if not self.said and now - self.begun > PATIENCE:
            self.said = True
            logging.getLogger(COMPILER).info(WORDS)

    def on_end(self, event: Any) -> None:
        """A function is compiled."""
        self.depth -= 1


event.register("numba:compile", Word())
