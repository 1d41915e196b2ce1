"""docs/cardinality.md: every metric is in it with its reason, and the demo has as many samples as it says."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evaljob import job
from evaljob.config import load
from evaljob.database import connect
from evaljob.demo import make_logs, write_logs
from evaljob.gauges import METRICS, results_registry

ROOT = Path(__file__).parents[1]
END = datetime(2026, 6, 1, tzinfo=UTC)


def table() -> list[list[str]]:
    """The cells of each row of the table of groups."""
    lines = (ROOT / "docs" / "cardinality.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return rows[2:]


def names(cell: str) -> list[str]:
    """The names in backquotes."""
    return re.findall("`([a-z0-9_]+)`", cell)


def test_every_metric_has_a_group() -> None:
    """Once."""
    listed = [name for row in table() for name in names(row[2])]
    assert len(set(listed)) == len(listed)
    assert METRICS.keys() <= set(listed)


def test_what_has_no_interval_has_a_reason() -> None:
    """Every metric without bounds is named in the list of those that need none."""
    section = (ROOT / "docs" / "cardinality.md").read_text().split("## What has no interval")[1]
    assert {name for name, metric in METRICS.items() if not metric.interval} <= set(names(section))


def test_samples_of_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 3% of each number in the table: bins and classes that are empty come and go with the data."""
    monkeypatch.setenv("EVALJOB_DATABASE_URL", f"sqlite:///{tmp_path / 'logs.db'}")
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text().replace("demo/evaljob-state", "state"))
    (tmp_path / "sql").symlink_to(ROOT / "sql")
    engine = connect(f"sqlite:///{tmp_path / 'logs.db'}", read_only=False)
    write_logs(engine, make_logs(END))
    engine.dispose()
    code, runs = job.run(load(tmp_path / "config.yaml"), END, pushing=False)
    assert code == 0
    samples: dict[str, int] = {}
    for run in runs:
        assert run.results is not None
        for family in results_registry(run.results).collect():
            name = re.sub("_(lower|upper)$", "", family.name.removeprefix("evaljob_"))
            samples[name] = samples.get(name, 0) + len(family.samples)
    for group, _, metrics, _, said in table():
        found = sum(samples.get(name, 0) for name in names(metrics))
        assert not said or found == pytest.approx(int(said.replace(",", "")), rel=0.03), group
