"""The Grafana dashboard: `python -m monitoring.dashboard` writes grafana/dashboard.json, which is committed.

Four quadrants, the system and the model, each online (now, from the service's metrics) and offline (from the logs, once
labels have come): online.py, quality.py and job.py have their panels, panels.py the kinds of panels.
"""

import json
from itertools import chain
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from monitoring import fields, job, online, quality
from monitoring.panels import Panel

FILE = Path(__file__).parent / "grafana" / "dashboard.json"
_PREDICTIONS = 'evaljob_predictions{model="$model"'
# name: what it may be, by Grafana's label_values(series, label)
CHOICES = {
    "model": '{__name__=~"evaljob_predictions|predictions_total"}, model',
    "version": f"{_PREDICTIONS}}}, model_version",
    "window": f"{_PREDICTIONS}}}, window",
    "slice": f'{_PREDICTIONS},slice!="overall"}}, slice',
    "class": 'evaljob_precision_ratio{model="$model"}, class',
}
DEFAULTS = {"version": "all"}  # the total over versions; of the others, the first there is


def document() -> str:
    """The dashboard as JSON that Grafana imports."""
    board = (
        builders.Dashboard("Model quality")
        .uid("evaljob")
        .description(
            "A model's quality as its labels come in, beside the service that runs it and the job that counts."
        )
        .tags(["evaljob"])
        .time("now-24h", "now")
        .refresh("1m")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .variables([_source(), *(_choice(name, values) for name, values in CHOICES.items()), _lookback()])
    )
    for panel in chain(quality.headline(), [online.p99()], job.headline()):
        board.with_panel(panel)
    for title, panels in _quadrants().items():
        board.with_row(builders.Row(title))
        for panel in panels:
            board.with_panel(panel)
    return json.dumps(_complete(board.build()), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _quadrants() -> dict[str, list[Panel]]:
    offline = [quality.correctness(), quality.calibration(), quality.business(), quality.slices()]
    system = [job.labels(), job.serving(), job.runs(), job.state()]
    return {
        "System, online: the service": online.system(),
        "Model, online: what it says": online.model(),
        "Model, offline: what came true": list(chain(*offline)),
        "System, offline: the labels and the job": list(chain(*system)),
    }


def _complete(board: model.Dashboard) -> model.Dashboard:
    """The board with what Grafana wants of panels and the SDK does not give: ids, and the versions of plugins."""
    for number, panel in enumerate(board.panels or [], 1):
        panel.id_val = number
        if isinstance(panel, model.Panel) and panel.type_val == "xychart":
            panel.plugin_version = "11.1.0"  # without one it is taken for an older one's, and loses its series
    return board


def _source() -> builders.DatasourceVariable:
    return builders.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _choice(name: str, values: str) -> builders.QueryVariable:
    choice = builders.QueryVariable(name)
    if name in DEFAULTS:
        choice.current(model.VariableOption(text=DEFAULTS[name], value=DEFAULTS[name]))
    return (
        choice.label(name.capitalize())
        .datasource(fields.SOURCE)
        .query(f"label_values({values})")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
    )


def _lookback() -> builders.CustomVariable:
    """How old a result may be that is shown."""
    about = "How old a value may be: at least the time between two runs, or between two points that were backfilled."
    return builders.CustomVariable("lookback").label("Lookback").description(about).values("5m,65m,25h")


if __name__ == "__main__":
    FILE.write_text(document())
