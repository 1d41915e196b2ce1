"""The dashboard's queries as Grafana would send them: `python -m monitoring.queries` lists what each panel gets."""

import argparse
import json
import math
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from monitoring.dashboard import FILE

# What Grafana fills in of its own accord, for a dashboard of five minutes.
BUILT_IN = {"__rate_interval": "1m", "__range": "5m"}
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Target:
    """One query of one panel, its variables as they stand in the dashboard."""

    panel: str
    ref: str
    expr: str

    def substituted(self, values: Mapping[str, str]) -> str:
        """The query with the variables' values. Raises KeyError for a variable that has none."""
        return substitute(self.expr, values)


def substitute(text: str, values: Mapping[str, str]) -> str:
    """A text with the values of its `$variables` and `${variables}`."""
    return _VARIABLE.sub(lambda found: (BUILT_IN | dict(values))[found[1] or found[2]], text)


def targets(dashboard: str) -> Iterator[Target]:
    """All queries of a dashboard, given as JSON text, in the order of its panels."""
    for panel in json.loads(dashboard)["panels"]:
        for target in panel.get("targets", []):
            yield Target(panel["title"], target["refId"], target["expr"])


def values(prometheus_url: str, expr: str) -> list[float]:
    """The values of an expression's series now; NaN is undefined."""
    url = f"{prometheus_url}/api/v1/query?{urllib.parse.urlencode({'query': expr})}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=10) as answer:
        found = json.load(answer)["data"]["result"]
    return [float(series["value"][1]) for series in found]


def defined(found: list[float]) -> int:
    """How many series have a value that is not NaN."""
    return sum(not math.isnan(value) for value in found)


def main() -> None:
    """Print a line for each query: panel, query, series, and how many of them are defined."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.queries", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:9090", help="of Prometheus (default: %(default)s)")
    parser.add_argument("variables", nargs="*", metavar="VARIABLE=VALUE", help="model=iris window=1h ...")
    given = parser.parse_args()
    chosen = dict(pair.split("=", 1) for pair in given.variables)
    for target in targets(FILE.read_text()):
        found = values(given.url, target.substituted({"version": "all", "lookback": "5m"} | chosen))
        print(f"{target.panel:35} {target.ref}  {len(found):4} series, {defined(found):4} defined")  # noqa: T201


if __name__ == "__main__":
    main()
