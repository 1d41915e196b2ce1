"""Ages: when the predictions of a window were served, in buckets of absolute time that stand still as `as_of` moves.

Buckets of age would move every request to another cell at every step; these change only with what happens to a request.
The age of a bucket at an instant is that of its whole span.
"""

from typing import TYPE_CHECKING, NamedTuple

from evaljob.window import Segments

if TYPE_CHECKING:
    from evaljob.statistics.arrays import Flags, Integers

PIECES = 128  # at most so many buckets in a segment, and one that hangs over its edge
MINUTE = 60
_WIDEST = 15  # the exponent of the widest bucket: 22 days
_FLAGS = 2 * (_WIDEST + 1)


class Served(NamedTuple):
    """What bucket codes say: served in `[start, end)`, seconds since 1970, and whether there is a label."""

    start: "Integers"
    end: "Integers"
    labeled: "Flags"


def exponent_of(segments: Segments, number: int) -> int:
    """How wide the buckets of a segment are: 2^exponent minutes, the narrowest that cut it into at most PIECES.

    So a short young segment, where labels come fast, has narrow buckets beside a long old one's wide ones, and no width
    is below a minute.
    """
    minutes = (segments.ages[number - 1] - segments.ages[number]).total_seconds() / MINUTE
    return next((e for e in range(_WIDEST) if PIECES << e >= minutes), _WIDEST)


def factors(exponent: int) -> tuple[int, int, int]:
    """A bucket's code is `minute // a * b + c`, and one more with a label, where `minute` counts from 1970."""
    return 1 << exponent, _FLAGS << exponent, 2 * exponent


def served(codes: "Integers") -> Served:
    """What the codes say."""
    minute, flags = divmod(codes, _FLAGS)
    start = minute * MINUTE
    return Served(start, start + (MINUTE << (flags >> 1)), (flags & 1).astype(bool))
