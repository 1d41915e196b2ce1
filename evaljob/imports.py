"""Importing large libraries without looking for garbage among what they make."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting() -> Iterator[None]:
    """Import in the block: what is imported stays, so that it is never gone through for garbage, now or later.

    The libraries of a run make some 500,000 objects; going through them again and again took a fifth of a short run.
    """
    known = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > known:
            gc.freeze()
        gc.enable()
