"""The fine bins of scores and the logarithmic buckets of durations that cells are counted in; arrays: `binning`."""

from functools import cache

SCORE_UNIT = 10**9
"""Scores lie on a fixed-point grid: the integer `round(score * SCORE_UNIT)`."""
SCORE_BINS = 180
DURATION_GAMMA = 1.01 / 0.99
"""Ratio of a duration bucket's upper to its lower end: its value is off by at most 1%."""
DURATION_ZERO = -1
"""The bucket of durations of zero (and of negative ones, which count as zero)."""
_CENT = SCORE_UNIT // 100


@cache
def score_bin_edges() -> tuple[int, ...]:
    """The edges of the fine score bins on the grid: SCORE_BINS + 1 of them.

    Bin i is `[edges[i], edges[i + 1])`: 0.01 wide between 0.01 and 0.99; in the lower tail `[0, 1e-6)` and ten per
    decade from 1e-6 to 1e-2, because click and fraud models live there; the upper tail is its mirror. The last bin
    includes 1.0.
    """
    tail = [0] + [round(10 ** (k / 10) * 10**decade) for decade in range(3, 7) for k in range(10)]
    lower = [*tail, *(cent * _CENT for cent in range(1, 50))]
    return (*lower, SCORE_UNIT // 2, *(SCORE_UNIT - edge for edge in reversed(lower)))
