"""The command line. Libraries are imported by the command that uses them, so that `--help` is quick."""

import logging
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

import click

from evaljob import garbage, journal, termination
from evaljob.errors import ConfigError, EvaljobError, worst

if TYPE_CHECKING:
    from sqlalchemy.exc import SQLAlchemyError

DEFAULT_CONFIG = Path("config.yaml")
_DEMO_DAYS = 40
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Duration(click.ParamType[timedelta]):
    """A duration as configurations write it."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """A timedelta. Fails with a usage error that says how to write one."""
        from evaljob.config.duration import parse  # noqa: PLC0415

        try:
            return value if isinstance(value, timedelta) else parse(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


class Instant(click.ParamType[datetime]):
    """ISO 8601; without an offset it is UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """An aware datetime. Fails with a usage error that says how to write one."""
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(value)
            found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time; write it like 2026-06-01T12:00:00Z or 2026-06-01", param, ctx)
        if found < _EPOCH:
            self.fail(f"{value!r} lies before 1970, when nothing was logged", param, ctx)
        return found


class Past(Instant):
    """An instant that has been: of a later one not everything is known, and a state there would outrun the clock."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """An aware datetime. Fails with a usage error likewise."""
        found = super().convert(value, param, ctx)
        if found > datetime.now(UTC):
            self.fail(f"{value!r} lies in the future, of which nothing is known yet", param, ctx)
        return found


def _config_option(command: Callable[..., None]) -> Callable[..., None]:
    kind = click.Path(path_type=Path, dir_okay=False)
    return click.option(
        "--config", "path", type=kind, default=DEFAULT_CONFIG, show_default=True, help="The configuration file."
    )(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="evaljob")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the log on standard error is written; json: an object a line.",
)
@click.pass_context
def cli(context: click.Context, log_format: Literal["text", "json"], *, verbose: bool) -> None:
    """Rolling-window quality metrics of deployed models, exact while their labels arrive late.

    \b
    Start:    evaljob init        writes config.yaml and sql/ to adapt to your logs
              evaljob check       finds what is wrong with them
              evaljob run         evaluates once and pushes: what cron calls
              evaljob worker      does so on its own schedule
    Exit codes: 0 done and pushed; 1 the evaluation failed; 2 configuration or usage; 3 evaluated, but not pushed.
    """  # noqa: D301  (\b is click's mark for a paragraph to leave as it is)
    journal.configure(log_format, logging.DEBUG if verbose else logging.INFO)
    if context.invoked_subcommand != "worker":  # which ends its run first
        termination.heed()
    logging.getLogger("apscheduler").setLevel(logging.INFO if verbose else logging.WARNING)


@cli.command()
@_config_option
@click.option(
    "--as-of",
    type=Past(),
    help="Evaluate as everything was known at this instant. Default: now, less `schedule.settle`.",
)
@click.option("--full", is_flag=True, help="Count every request afresh instead of stepping from the stored state.")
@click.option("--no-push", is_flag=True, help="Do not push.")
@click.option(
    "--output",
    type=click.Choice(["table", "json", "prometheus"]),
    default="table",
    show_default=True,
    help="What standard output gets.",
)
def run(path: Path, as_of: datetime | None, output: str, *, full: bool, no_push: bool) -> None:
    """Evaluate once and push the results.

    \b
    Examples: evaljob run
              evaljob run --as-of 2026-06-01T00:00:00Z --no-push --output json
              */5 * * * * evaljob run --config /etc/evaljob/config.yaml >/dev/null
    """  # noqa: D301
    with garbage.lasting():
        from evaljob import config  # noqa: PLC0415

    loaded = config.load(path)  # before the rest is imported: what is wrong with it is told at once
    with garbage.lasting():
        from evaljob import job  # noqa: PLC0415

    code, runs = job.run(loaded, as_of, full=full, pushing=not no_push)
    _tell_errors(runs)
    _print([run_.results for run_ in runs if run_.results is not None], output)
    raise SystemExit(code)


@cli.command()
@_config_option
def worker(path: Path) -> None:
    """Evaluate on the configuration's schedule until SIGTERM.

    Serves /healthz, /metrics and the report (at /) on `worker.host:port`.

    \b
    Example:  evaljob worker --config /etc/evaljob/config.yaml
    """  # noqa: D301
    with garbage.lasting():
        from evaljob import config, job, runs  # noqa: PLC0415
        from evaljob import reconcile as reconciliation  # noqa: PLC0415
        from evaljob import worker as scheduler  # noqa: PLC0415

    loaded = config.load(path)

    def evaluate(as_of: datetime | None) -> int:
        return runs.logged(*job.run(loaded, as_of))

    raise SystemExit(scheduler.serve(path, evaluate, lambda: runs.logged(*reconciliation.reconcile(loaded))))


@cli.command()
@_config_option
@click.option("--no-push", is_flag=True, help="Do not push.")
def reconcile(path: Path, *, no_push: bool) -> None:
    """Count every state afresh at its own instant, say in how many cells it differs, and repair it.

    What differs comes from rows that changed or became visible behind evaljob's back. It is told on standard error and
    by evaljob_state_drift_cells; the exit code is 0, for it is repaired.
    """
    from evaljob import config  # noqa: PLC0415
    from evaljob import reconcile as reconciliation  # noqa: PLC0415

    code, runs = reconciliation.reconcile(config.load(path), pushing=not no_push)
    _tell_errors(runs)
    for run_ in runs:
        if run_.advanced is not None:
            drift = run_.advanced.state.drift_cells
            told = f"DRIFT: {drift:,} cells differed and were repaired" if drift else "no cell differs"
            click.echo(f"{run_.model} as of {run_.as_of.isoformat()}: {told}")
    raise SystemExit(code)


@cli.command()
@_config_option
@click.option("--from", "start", type=Instant(), required=True, help="The first instant to evaluate.")
@click.option("--to", "end", type=Instant(), required=True, help="The last one, if whole intervals lead to it.")
@click.option("--every", type=Duration(), default="1h", show_default=True, help="The time between two instants.")
@click.option(
    "--openmetrics",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the points to this file too, for `promtool tsdb create-blocks-from openmetrics`.",
)
def backfill(path: Path, start: datetime, end: datetime, every: timedelta, file: Path | None) -> None:
    """Evaluate the past into the history, as it would have been published at each instant.

    What live runs go on from is left alone. When interrupted, the same command goes on where it stood.

    \b
    Example:  evaljob backfill --from 2026-05-01 --to 2026-06-01 --every 1h --openmetrics may.om
              promtool tsdb create-blocks-from --max-block-duration=720h openmetrics may.om /var/lib/prometheus
    """  # noqa: D301
    from evaljob import backfill as past  # noqa: PLC0415
    from evaljob import config  # noqa: PLC0415
    from evaljob.checkpoint import Span  # noqa: PLC0415
    from evaljob.progress import reporting  # noqa: PLC0415

    loaded, span = config.load(path), Span(start, end, every)
    with reporting() as report:
        code, runs = past.backfill(loaded, span, report, file)
    _tell_errors(runs)
    raise SystemExit(code)


@cli.command()
@_config_option
@click.option("--model", "models", multiple=True, help="Only this model; every option can be given several times.")
@click.option("--metric", "metrics", multiple=True, help="Only this metric, without evaljob_.")
@click.option("--window", "windows", multiple=True, help="Only this window.")
@click.option(
    "--slice", "slices", multiple=True, help="Only this slice, `country` or `country=DE`; overall is all rows."
)
@click.option("--version", "versions", multiple=True, help="Only this model version; all is the total.")
@click.option("--from", "start", type=Instant(), help="The first instant.")
@click.option("--to", "end", type=Instant(), help="The last instant.")
@click.option(
    "--output",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="A table shows what matters most of the totals unless other metrics, slices or versions are named.",
)
def history(path: Path, slices: tuple[str, ...], output: str, **given: Any) -> None:
    """Read the results of past runs."""
    from evaljob import config, listing, opening  # noqa: PLC0415
    from evaljob import history as past  # noqa: PLC0415

    if output == "table":
        slices = slices or ("overall",)
        given |= {"metrics": given["metrics"] or listing.HEADLINES, "versions": given["versions"] or ("all",)}
    pairs = ((name, value if equals else None) for name, equals, value in (text.partition("=") for text in slices))
    selection = past.Selection(slices=tuple(pairs), **given)
    with opening.own_tables(config.load(path)) as engine, engine.connect() as connection:
        frames = (block.frame() for block in past.blocks(connection, selection))
        for text in listing.FORMS[output](frames):
            _say(text.encode(errors="backslashreplace"))


@cli.command()
@_config_option
@click.option(
    "--output",
    "file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default=Path("report.html"),
    show_default=True,
    help="The file to write; - is standard output.",
)
@click.option(
    "--days", type=click.IntRange(min=1), default=30, show_default=True, help="How much of the history trends show."
)
def report(path: Path, file: Path, days: int) -> None:
    """Write one HTML page about every model, for people, from the state and the history.

    It fetches nothing, so that it can be sent and kept. Needs the extra `report`. The worker serves it at /.

    \b
    Example:  evaljob run && evaljob report --output /var/www/models.html
    """  # noqa: D301
    from evaljob import config  # noqa: PLC0415
    from evaljob import report as pages  # noqa: PLC0415

    page = pages.report(config.load(path), datetime.now(UTC), days)
    if file == Path("-"):
        _say(page.encode())
    else:
        pages.write(file, page)
        click.echo(f"wrote {file}")


@cli.command()
@_config_option
def check(path: Path) -> None:
    """Look for everything that can be wrong, before it runs.

    That is the configuration, its SQL and columns, both databases and the gateway. Reads every row of both logs.

    \b
    Example:  evaljob check && evaljob run
    """  # noqa: D301
    with garbage.lasting():
        from evaljob import check as checks  # noqa: PLC0415
        from evaljob import config  # noqa: PLC0415

    loaded = config.load(path)
    click.echo(f"ok     configuration {path}: {len(loaded.evaluations)} evaluations")
    codes = set()
    for finding in checks.check(loaded):
        codes.add(finding.error.exit_code if finding.error else 0)
        click.echo(f"{'WRONG' if finding.error else 'ok   '}  {finding.what}: {finding.detail}")
    raise SystemExit(worst(codes))


@cli.command()
@_config_option
@click.option("--as-of", type=Instant(), help="The instant the statements are for.")
def sql(path: Path, as_of: datetime | None) -> None:
    """Print the statements that a run executes.

    In the database's dialect: the full count, and a step of one schedule interval.

    \b
    Example:  evaljob sql --as-of 2026-06-01 > statements.sql
    """  # noqa: D301
    from evaljob import config, statements  # noqa: PLC0415

    _say(f"{statements.text(config.load(path), as_of)}\n")


@cli.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=Path())
def init(directory: Path) -> None:
    """Write config.yaml and sql/ to start from.

    They are commented, and files that exist are left alone.

    \b
    Example:  evaljob init monitoring && evaljob check --config monitoring/config.yaml
    """  # noqa: D301
    from evaljob import templates  # noqa: PLC0415

    for written in templates.write(directory):
        click.echo(f"wrote {written}")


@cli.command()
@_config_option
@click.option("--end", type=Instant(), help="When the simulated 40 days end.  [default: now]")
@click.option("--seed", default=7, show_default=True, help="The same seed and end make the same logs.")
@click.option(
    "--requests",
    default=30_000,
    show_default=True,
    type=click.IntRange(min=1_000),
    help="How many requests the two models serve.",
)
def demo(path: Path, end: datetime | None, seed: int, requests: int) -> None:
    """Fill the configured database with logs of two real classifiers.

    Their labels are late, corrected, duplicate, missing and orphan, and the newer version degrades in the last days.

    \b
    Example:  evaljob demo && evaljob run --no-push
    """  # noqa: D301
    from evaljob import config, opening, state  # noqa: PLC0415
    from evaljob import demo as logs  # noqa: PLC0415
    from evaljob.database import shown  # noqa: PLC0415

    loaded, end = config.load(path), end or datetime.now(UTC).replace(microsecond=0)
    made = logs.make_logs(end, seed=seed, days=_DEMO_DAYS, requests=requests)
    with opening.writable_logs(loaded) as engine:
        logs.write_logs(engine, made)
    with state.store(loaded) as states, states.engine.begin() as transaction:
        states.forget(transaction, [evaluation.model for evaluation in loaded.evaluations])  # they are of other logs
    counts = f"{len(made.predictions):,} predictions and {len(made.labels):,} labels"
    click.echo(f"{counts} in {shown(loaded.database.url.get_secret_value())}")
    joined, broke = (end - timedelta(days=_DEMO_DAYS) * (1 - share) for share in (logs.CANARY, logs.INCIDENT))
    click.echo(
        f"Version v2 joins v1 on {joined:%Y-%m-%d}. From {broke:%Y-%m-%d} on its features come in inches, "
        "mostly those of phones: watch its recall and its calibration."
    )


def _tell_errors(runs: list[Any]) -> None:
    for message in dict.fromkeys(str(run_.error) for run_ in runs if run_.error is not None):
        click.echo(f"Error: {message}", err=True)


def _print(results: list[Any], output: str) -> None:
    import pandas as pd  # noqa: PLC0415

    from evaljob.metrics.results import COLUMNS  # noqa: PLC0415

    frame = pd.concat(results, ignore_index=True) if results else pd.DataFrame(columns=list(COLUMNS))
    if output == "table":
        from evaljob import tables  # noqa: PLC0415

        _say(tables.text(frame))
    else:
        from evaljob import output as form  # noqa: PLC0415

        text = form.as_json(frame) if output == "json" else form.as_prometheus(frame)
        _say(text.encode(errors="backslashreplace"))  # UTF-8, whatever the locale: programs read it


def _say(text: str | bytes) -> None:
    """Write to standard output. Whoever reads it may stop before the end, as `head` does."""
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """The entry point: every failure that is told to the user ends in one message and the contract's exit code."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        raise SystemExit(130) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(ConfigError.exit_code) from None
    except EvaljobError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        if not _is_of_database(error):
            raise
        from evaljob.database import reason  # noqa: PLC0415

        click.echo(f"Error: the database failed: {reason(error)}", err=True)
        raise SystemExit(EvaljobError.exit_code) from None


def _is_of_database(error: Exception) -> TypeGuard["SQLAlchemyError"]:
    alchemy = sys.modules.get("sqlalchemy.exc")  # who raised it has imported it
    return alchemy is not None and isinstance(error, alchemy.SQLAlchemyError)


if __name__ == "__main__":
    main()
