"""The kinds of panels that the dashboard has: the SDK's builders, with what all panels share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TypeAlias, TypeVar

from grafana_foundation_sdk.builders import common, piechart, prometheus, stat, table, timeseries, xychart
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.piechart import PieChartLabels
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.xychart import SeriesMapping

from monitoring import fields

SHARE, SECONDS, COUNT, REQUESTS, NUMBER = "percentunit", "s", "short", "reqps", "none"  # Grafana's names of units
Panel: TypeAlias = piechart.Panel | stat.Panel | table.Panel | timeseries.Panel | xychart.Panel
_Kind = TypeVar("_Kind", piechart.Panel, stat.Panel, table.Panel, timeseries.Panel, xychart.Panel)
_HEIGHT, _LOW = 8, 4  # of the dashboard's grid, which is 24 wide


@dataclass(frozen=True)
class Query:
    """A PromQL expression with `$` variables. `legend` names each series, with {{label}} for a label's value."""

    expr: str
    legend: str = ""


def trend(title: str, about: str, *queries: Query, unit: str = NUMBER, width: int = 8) -> timeseries.Panel:
    """Values over time. An undefined value is a gap."""
    tooltip = common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    panel = _filled(timeseries.Panel(), title, about, queries, unit, width, None)
    return panel.fill_opacity(0).line_width(2).legend(fields.legend()).tooltip(tooltip)


def band(title: str, about: str, *queries: Query, width: int = 8) -> timeseries.Panel:
    """A ratio over time; the queries whose legends are lower, upper and support become its band, and bars below it."""
    panel = trend(title, about, *queries, unit=SHARE, width=width).max(1).color_scheme(fields.colour("blue"))
    upper = fields.INVISIBLE | {"custom.fillBelowTo": "lower", "custom.fillOpacity": 20}
    panel.override_by_name("lower", fields.properties(fields.INVISIBLE))
    panel.override_by_name("upper", fields.properties(upper))
    return panel.override_by_name("support", fields.properties(fields.right_axis(COUNT) | fields.FAINT_BARS))


def stacked(panel: timeseries.Panel) -> timeseries.Panel:
    """The panel's series as parts of a whole."""
    return panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL)).fill_opacity(30).line_width(1)


def on_the_right(panel: timeseries.Panel, names: str, unit: str = NUMBER) -> timeseries.Panel:
    """The panel, with an axis of their own for the series whose name matches."""
    return panel.override_by_regexp(f"/{names}/", fields.properties(fields.right_axis(unit)))


def number(
    title: str, about: str, *queries: Query, unit: str = NUMBER, width: int = 3, steps: Sequence[tuple[float, str]] = ()
) -> stat.Panel:
    """The value now, in large; green, and from each of the `steps` on in its colour."""
    panel = _filled(stat.Panel(), title, about, queries, unit, width, PromQueryFormat.TIME_SERIES)
    panel.height(_LOW).mappings([fields.undefined()]).thresholds(fields.thresholds(steps))
    return panel.color_mode(BigValueColorMode.VALUE).graph_mode(BigValueGraphMode.NONE)


def pie(title: str, about: str, query: Query, width: int = 6) -> piechart.Panel:
    """The parts of a whole now."""
    panel = _filled(piechart.Panel(), title, about, (query,), COUNT, width, PromQueryFormat.TIME_SERIES)
    legend = piechart.PieChartLegendOptions().placement(LegendPlacement.RIGHT).show_legend(True)  # noqa: FBT003
    return panel.display_labels([PieChartLabels.NAME, PieChartLabels.PERCENT]).legend(legend)


def rows(title: str, about: str, key: str, *columns: Query, width: int = 12) -> table.Panel:
    """A row for each value of `key`, the one label that the queries' series may have; a column for each query."""
    panel = _filled(table.Panel(), title, about, columns, NUMBER, width, PromQueryFormat.TABLE)
    return _joined(panel, key, *columns).mappings([fields.undefined()])


def units(panel: table.Panel, unit: str, names: Iterable[str]) -> table.Panel:
    """The panel, with the unit of some columns."""
    for name in names:
        panel.override_by_name(name, fields.properties({"unit": unit}))
    return panel


def listing(title: str, about: str, query: Query, width: int = 8) -> table.Panel:
    """A row for each series, a column for each of its labels."""
    panel = _filled(table.Panel(), title, about, (query,), NUMBER, width, PromQueryFormat.TABLE)
    hidden = {"excludeByName": {"Time": True, "Value": True}}
    return panel.with_transformation(model.DataTransformerConfig("organize", options=hidden))


def diagram(title: str, about: str, key: str, x: Query, dots: Query, *lines: Query, width: int = 8) -> xychart.Panel:
    """Shares over a share, joined by the label `key`: dots, lines, and the diagonal on which the two are equal."""
    lines = (*lines, Query(x.expr, "equal"))
    panel = _filled(xychart.Panel(), title, about, (x, dots, *lines), SHARE, width, PromQueryFormat.TABLE)
    _joined(panel, key, x, dots, *lines).with_transformation(fields.sorted_by(x.legend))
    for line in lines:
        panel.override_by_name(line.legend, fields.properties({"custom.show": "lines", "custom.lineWidth": 1}))
    panel.mapping(SeriesMapping.MANUAL).series([fields.points(x.legend, y.legend) for y in (dots, *lines)])
    return panel.min(0).max(1).legend(fields.legend())


def _joined(panel: _Kind, key: str, *columns: Query) -> _Kind:
    for transformation in fields.joined(key, [column.legend for column in columns]):
        panel.with_transformation(transformation)
    return panel


def _filled(
    panel: _Kind,
    title: str,
    about: str,
    queries: tuple[Query, ...],
    unit: str,
    width: int,
    instant: PromQueryFormat | None,
) -> _Kind:
    """The panel with its queries; they ask for the value now, in this format, or without one for the time range."""
    panel.title(title).description(about).datasource(fields.SOURCE).unit(unit).span(width).height(_HEIGHT)
    for ref, query in zip(ascii_uppercase, queries, strict=False):
        target = prometheus.Dataquery().ref_id(ref).expr(query.expr).datasource(fields.SOURCE)
        if instant is not PromQueryFormat.TABLE:  # where transformations go by the names that Grafana gives to columns
            target.legend_format(query.legend)
        panel.with_target(target.instant().format(instant) if instant else target.range())
    return panel
