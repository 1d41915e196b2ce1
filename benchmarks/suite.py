"""`make bench`: every contender on the same logs, side by side, each in a process of its own.

Writes results.json, results.md and cost.svg into --output. `--only TEXT` takes the contenders whose name holds it.
"""

import argparse
import json
import platform
import subprocess
import venv
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import sqlalchemy as sa

from benchmarks import logs
from benchmarks.contenders import CONTENDERS, PEERS, Contender, peer_python
from benchmarks.measure import Measure, ask
from tests import servers


@dataclass(frozen=True)
class Result:
    """A contender's measure at a size, or why there is none."""

    contender: str
    requests: int
    measure: Measure | None
    note: str


class Logs:
    """The logs of every size in every form, made where they are missing."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack, self._postgres, self._spark = folder, stack, "", ""
        folder.mkdir(parents=True, exist_ok=True)

    def arguments(self, size: logs.Size, forms: set[str]) -> dict[str, list[str]]:
        """What tells a contender where the logs of each form are."""
        source = self.folder / f"{size.name}.duckdb"
        if not source.exists():
            logs.to_duckdb(source, size)
        places = {"duckdb": ["--url", f"duckdb:///{source}"]}
        if forms & {"parquet", "spark"}:
            files = self.folder / size.name
            if not files.exists():
                logs.to_parquet(files, source)
            places["parquet"] = ["--url", "duckdb:///:memory:", "--parquet", str(files)]
        if "spark" in forms:
            self._spark = self._spark or self._stack.enter_context(servers.spark("6g", {}))
            places["spark"] = ["--url", self._spark, "--parquet", str(files)]
        if "sqlite" in forms:
            file = source.with_suffix(".sqlite")
            url = f"sqlite:///{file}" if file.exists() else logs.to_sqlite(file, source)
            places["sqlite"] = ["--url", url]
        if "postgres" in forms:
            places["postgres"] = ["--url", logs.to_postgres(self._database(size), source)]
        return places

    def _database(self, size: logs.Size) -> str:
        """An empty database of a PostgreSQL that ends with the benchmark."""
        self._postgres = self._postgres or self._stack.enter_context(servers.postgres())
        name = f"logs_{size.requests}"
        engine = sa.create_engine(self._postgres, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return sa.make_url(self._postgres).set(database=name).render_as_string(hide_password=False)


def build_peer(peer: str) -> None:
    """An environment of a peer's own, for peers want other versions of the same libraries."""
    python = peer_python(peer)
    if not python.exists():
        venv.create(python.parents[1], with_pip=True)
        install = ["install", "--quiet", "--requirement", str(PEERS / f"{peer}.txt")]
        subprocess.run([str(python), "-m", "pip", *install], check=True)


def results(sizes: list[int], contenders: list[Contender], folder: Path) -> Iterator[Result]:
    """Every contender at every size."""
    for peer in {contender.peer for contender in contenders if contender.peer}:
        build_peer(peer)
    with ExitStack() as stack:
        made = Logs(folder, stack)
        for requests in sizes:
            places = made.arguments(logs.Size(requests), {contender.logs for contender in contenders})
            for contender in contenders:
                yield _result(contender, places, requests)


def _result(contender: Contender, places: dict[str, list[str]], requests: int) -> Result:
    if requests > contender.largest:
        return Result(contender.name, requests, None, f"not tried beyond {contender.largest:,} requests")
    try:
        measure = ask(contender.module, contender.command(places), contender.python)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return Result(contender.name, requests, None, f"failed: {str(error).strip().splitlines()[-1]}")
    return Result(contender.name, requests, measure, contender.note)


def table(found: list[Result]) -> str:
    """The results as Markdown."""
    head = "| requests | contender | median [range] | CPU | peak memory | |\n|---:|---|---:|---:|---:|---|\n"
    return head + "".join(f"| {r.requests:,} | {r.contender} | {_shown(r.measure)} | {r.note} |\n" for r in found)


def _shown(measure: Measure | None) -> str:
    if measure is None:
        return "— | — | —"
    return f"{measure.shown} | {sum(measure.cpu) / len(measure.cpu):.2f} s | {measure.peak_mb:,.0f} MB"


def plot(found: list[Result], file: Path) -> None:
    """Cost against size, both logarithmic, a line a contender: full counts left, what is new right."""
    import matplotlib as mpl  # noqa: PLC0415  (of an extra)

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "evaljob"
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, panels = plt.subplots(1, 2, figsize=(13, 9), sharey=True, layout="constrained")
    for axes, title, new in zip(panels, ("all requests", "what is new"), (False, True), strict=True):
        axes.set_prop_cycle(color=mpl.color_sequences["tab20"])
        for name in dict.fromkeys(r.contender for r in found if _of_what_is_new(r.contender) == new):
            points = [(r.requests, r.measure.median) for r in found if r.contender == name and r.measure is not None]
            if points:
                style = "-" if name.startswith("evaljob") else "--"
                axes.loglog(*zip(*points, strict=True), style, marker="o", label=name)
        axes.set(title=title, xlabel="requests in 30 days", ylabel="" if new else "seconds (median)")
        axes.grid(visible=True, which="major", alpha=0.3)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, fontsize="small", frameon=False)
    figure.savefig(file, metadata={"Date": None})


def _of_what_is_new(contender: str) -> bool:
    return contender.startswith(("evaljob step", "evaljob backfill"))


def main() -> None:
    """Measure, and write what was found as it comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--logs", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"))
    given = parser.parse_args()
    wanted = [contender for contender in CONTENDERS if any(text in contender.name for text in given.only)]
    given.output.mkdir(parents=True, exist_ok=True)
    found = list[Result]()
    for result in results(given.sizes, wanted, given.logs):
        found.append(result)
        print(table([result]).splitlines()[-1], flush=True)
        machine = {"machine": platform.machine(), "python": platform.python_version()}
        told = {"on": machine, "results": [asdict(each) for each in found]}
        (given.output / "results.json").write_text(json.dumps(told, indent=1) + "\n")
        (given.output / "results.md").write_text(table(found))
    plot(found, given.output / "cost.svg")


if __name__ == "__main__":
    main()
