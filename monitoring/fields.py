"""The SDK's small parts, with the names that panels.py uses for them."""

from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, xychart
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.common import AxisPlacement, DataSourceRef, LegendDisplayMode, LegendPlacement

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
INVISIBLE = {"custom.lineWidth": 0, "custom.hideFrom": {"legend": True, "tooltip": False, "viz": False}}
FAINT_BARS = {
    "custom.drawStyle": "bars",
    "custom.lineWidth": 0,
    "custom.fillOpacity": 12,
    "color": {"mode": "fixed", "fixedColor": "text"},
}


def properties(values: dict[str, Any]) -> list[model.DynamicConfigValue]:
    """Field properties as an override takes them."""
    return [model.DynamicConfigValue(name, value) for name, value in values.items()]


def right_axis(unit: str) -> dict[str, Any]:
    """An axis of its own, from zero."""
    return {"custom.axisPlacement": AxisPlacement.RIGHT, "unit": unit, "min": 0}


def legend() -> common.VizLegendOptions:
    """Names below the panel."""
    shown = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    return shown.show_legend(True)  # noqa: FBT003  (the SDK's)


def colour(name: str) -> dashboard.FieldColor:
    """The same for all series of a panel."""
    return dashboard.FieldColor().mode(model.FieldColorModeId.FIXED).fixed_color(name)


def thresholds(steps: Sequence[tuple[float, str]]) -> dashboard.ThresholdsConfig:
    """Green below the first step, from each step on its colour; without steps no colour."""
    base = model.Threshold(None, "green" if steps else "text")
    found = [base, *(model.Threshold(value, colour) for value, colour in steps)]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(found)


def undefined() -> model.ValueMapping:
    """NaN in words: an undefined value is not a missing one."""
    result = model.ValueMappingResult(text="undefined")
    return model.SpecialValueMap(model.DashboardSpecialValueMapOptions(model.SpecialValueMatch.NA_N, result))


def joined(key: str, names: Sequence[str]) -> list[model.DataTransformerConfig]:
    """The results of queries A, B, ... side by side in one table with a row for each value of the label `key`."""
    columns = {f"Value #{chr(ord('A') + i)}": name for i, name in enumerate(names)}
    options: dict[str, Any] = {
        "joinByField": {"byField": key, "mode": "outer"},
        "filterFieldsByName": {"include": {"pattern": f"^({key}|Value.*)$"}},
        "organize": {"renameByName": columns, "indexByName": {name: i for i, name in enumerate([key, *columns])}},
    }
    return [model.DataTransformerConfig(name, options=option) for name, option in options.items()]


def sorted_by(column: str) -> model.DataTransformerConfig:
    """The rows in ascending order of a column."""
    return model.DataTransformerConfig("sortBy", options={"sort": [{"field": column}]})


def points(x: str, y: str) -> xychart.XYSeriesConfig:
    """Points of two columns."""
    return (
        xychart.XYSeriesConfig()
        .name(xychart.XychartXYSeriesConfigName().fixed(y))
        .frame(xychart.XychartXYSeriesConfigFrame().matcher(_matcher("byIndex", 0)))
        .x(xychart.XychartXYSeriesConfigX().matcher(_matcher("byName", x)))
        .y(xychart.XychartXYSeriesConfigY().matcher(_matcher("byName", y)))
    )


def _matcher(name: str, options: object) -> xychart.MatcherConfig:
    return xychart.MatcherConfig().id(name).options(options)
