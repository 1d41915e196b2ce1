"""Figures as SVG in the page's own colours and letters: the same numbers give the same bytes."""

from evaljob.report.figures.canvas import Chart
from evaljob.report.figures.charts import (
    Curve,
    cost_by_threshold,
    label_lag,
    reliability,
    scores,
    threshold_rates,
)
from evaljob.report.figures.trends import trend

__all__ = ["Chart", "Curve", "cost_by_threshold", "label_lag", "reliability", "scores", "threshold_rates", "trend"]
