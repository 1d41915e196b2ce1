"""What axes have in common: shares as percent, and time on a logarithmic scale."""

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from evaljob.report.numbers import percent, seconds

_LAGS = (1.0, 60.0, 3600.0, 86_400.0, 604_800.0, 2_592_000.0, 31_536_000.0)


def timed(axes: Axes, low: float, high: float) -> None:
    """A logarithmic axis of seconds, with ticks at an hour, a day and the like."""
    axes.set_xscale("log")
    axes.set_xlim(low * 0.9, high * 1.1)
    axes.xaxis.set_major_locator(FixedLocator([lag for lag in _LAGS if low <= lag <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: seconds(x).replace(".0", "")))


def shares(axes: Axes, which: str) -> None:
    """Percent on the axes x, y or both."""
    for axis in (axes.xaxis, axes.yaxis):
        if which in ("both", axis.axis_name):
            axis.set_major_formatter(FuncFormatter(lambda x, _: percent(x).replace(".0%", "%")))
            axis.set_major_locator(MaxNLocator(5))
