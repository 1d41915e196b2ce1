"""Is it fine? In words that say no more than the numbers, their intervals and their support."""

from datetime import datetime, timedelta

from evaljob.config import Config
from evaljob.report import numbers as n
from evaljob.report.catalogue import Measure, main_measure
from evaljob.report.change import Change
from evaljob.report.findings import Finding, Tone
from evaljob.report.gather import Material
from evaljob.report.judged import Judged
from evaljob.report.numbers import Number
from evaljob.schedule import main_trigger
from evaljob.window import Window

MOST_NAMED = 3
LATE_RUNS = 3  # a report is stale when so many runs have been due since its instant
_STATUS: dict[str, tuple[Tone, str]] = {
    "worse": ("bad", "Worse than before"),
    "mixed": ("warn", "Better in some, worse in others"),
    "short": ("bad", "Short of what is set"),
    "better": ("good", "Better than before"),
    "met": ("good", "Meets what is set"),
    "steady": ("note", "No change shown"),
    "alone": ("note", "Nothing to compare with yet"),
    "unknown": ("note", "Too few labels to tell"),
    "never": ("note", "Never evaluated"),
}


def status(material: Material) -> tuple[Tone, str]:
    """How a model does, in few words."""
    return _STATUS["never" if material.results is None else Judged(material).status]


def answer(materials: list[Material]) -> str:
    """The page's heading: what a reader wants to know first."""
    found = ["never" if m.results is None else Judged(m).status for m in materials]
    if len(found) == 1:
        return f"{n.name(materials[0].evaluation.model)}: {_STATUS[found[0]][1].lower()}"
    worse = [n.name(m.evaluation.model) for m, s in zip(materials, found, strict=True) if s in ("worse", "mixed")]
    if worse:
        verb = "does" if len(worse) == 1 else "do"
        who = n.listed(worse) if len(worse) <= MOST_NAMED else f"{len(worse)} of {len(found)} models"
        return f"{who} {verb} worse than before"
    short = [n.name(m.evaluation.model) for m, s in zip(materials, found, strict=True) if s == "short"]
    if short:
        return f"{n.listed(short)} {'falls' if len(short) == 1 else 'fall'} short of what is set"
    if all(s in ("steady", "better", "met") for s in found):
        return "No model is shown to do worse than before"
    return "Not every model can be judged yet"


def first_sentence(judged_: Judged) -> str:
    """The main number, what it rests on, and how it moved."""
    measure, main = main_measure(judged_.evaluation), judged_.main
    support, window = judged_.support, judged_.window
    if not main.defined:
        needed = judged_.evaluation.min_support
        return (
            f"{support:,} labeled requests in {n.span(window.length)}; with fewer than {needed:,} no quality is told."
        )
    told = _told(measure, main, support, judged_.evaluation.confidence)
    moved = next((c for c in judged_.changes if c.measure == measure), None)
    return f"{told}{_moved(moved, window) if moved else ''}."


def freshness(config: Config, as_of: datetime, now: datetime) -> Finding | None:
    """Whether results are older than the schedule allows."""
    due = main_trigger(config.schedule).after(as_of, LATE_RUNS)
    if now <= due + config.schedule.settle:
        return None
    age = timedelta(seconds=int((now - as_of).total_seconds()))
    return Finding("warn", f"The results were {n.seconds(age.total_seconds())} old when this page was made.")


def _told(measure: Measure, main: Number, support: int, confidence: float) -> str:
    bounds = f" ({confidence:.0%} interval {n.interval(measure.form, main)})" if main.bounded else ""
    if measure.metric == "accuracy_ratio":
        return f"Right in {measure.told(main.value)}{bounds} of {support:,} labeled requests"
    return f"{measure.title} {measure.told(main.value)}{bounds} over {support:,} labeled requests"


def _moved(moved: Change, window: Window) -> str:
    before = f"in the {n.span(window.length)} before"
    if not moved.significant:
        told, bounds = moved.measure.told(moved.before.value), moved.measure.distances(moved.difference)
        return f"; not shown to differ from the {told} {before} ({bounds})"
    word = "more" if moved.difference.value > 0 else "less"
    return f", {moved.measure.distance(moved.difference.value)} {word} than {before}"
