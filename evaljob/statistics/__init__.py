"""Statistics of counts and sums: pure numpy functions over arrays whose first axis is the series.

Counts are integers, results are float64, and what is undefined (0/0) is NaN, never 0. Nothing here knows a model, a
window or a clock.
"""
