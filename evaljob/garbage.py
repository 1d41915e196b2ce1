"""Work that makes many objects which stay or go by themselves, without looking for garbage among them."""

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
    with uncollected():
        yield
        if len(sys.modules) > known:
            gc.freeze()


@contextmanager
def uncollected() -> Iterator[None]:
    """Make rows in the block, none of which refers to another: looking for garbage took half as long as fetching."""
    found = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if found:
            gc.enable()
