"""Is it fine? In words that say no more than the numbers, their intervals and their support."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Literal

from evaljob.config import Config, Evaluation
from evaljob.metrics.series import ALL
from evaljob.report import numbers as n
from evaljob.report.catalogue import HIGHER, Measure, called, main_measure, measures
from evaljob.report.change import Change, change, judged
from evaljob.report.gather import Material, main_window
from evaljob.report.numbers import Number, Numbers, Series
from evaljob.schedule import main_trigger
from evaljob.window import Window

Tone = Literal["bad", "warn", "good", "note"]

MOST_SLICES = 3
LATE_RUNS = 3  # a report is stale when so many runs have been due since its instant
_FULL = 0.995
_FAILURES = "prediction_failures"
_UNLIKE = 0.1  # of the population stability index: from here on it is more than little
_STATUS: dict[str, tuple[Tone, str]] = {
    "worse": ("bad", "Worse than before"),
    "mixed": ("warn", "Better in some, worse in others"),
    "short": ("bad", "Short of what is set"),
    "better": ("good", "Better than before"),
    "steady": ("good", "No change shown"),
    "alone": ("note", "Nothing to compare with yet"),
    "unknown": ("note", "Too few labels to tell"),
    "never": ("note", "Never evaluated"),
}


@dataclass(frozen=True)
class Finding:
    """One sentence that a number bears out."""

    tone: Tone
    text: str


@dataclass(frozen=True)
class Reference:
    """A number beside one that was set, or an offline one: `reference` is fixed or offline."""

    measure: Measure
    reference: str
    now: Number
    difference: Number
    significant: bool

    @property
    def missed(self) -> bool:
        """Whether it is shown to be worse than the reference."""
        return self.significant and self.difference.value * self.measure.better < 0


@dataclass(frozen=True)
class Judged:
    """The material of a model that was evaluated, with what follows from it."""

    material: Material
    id: str = "model"  # what the ids of its parts of the page begin with

    @property
    def evaluation(self) -> Evaluation:
        """What is evaluated."""
        return self.material.evaluation

    @property
    def window(self) -> Window:
        """The window that is told of first."""
        name = main_window(self.evaluation)
        return next(window for window in self.evaluation.windows if window.name == name)

    @cached_property
    def total(self) -> Series:
        """All rows of that window."""
        return Series(self.window.name)

    @cached_property
    def numbers(self) -> Numbers:
        """The results."""
        assert self.material.results is not None  # noqa: S101  (who judges has looked)
        return Numbers(self.material.results)

    @cached_property
    def main(self) -> Number:
        """The number of the first sentence."""
        return main_measure(self.evaluation).of(self.numbers, self.total)

    @cached_property
    def support(self) -> int:
        """The labeled requests behind it."""
        return int(self.numbers.get("support", self.total).value)

    @cached_property
    def versions(self) -> list[str]:
        """The versions that occur in the window, by support."""
        found = [s for s in self.numbers.series("support") if s == Series(self.total.window, s.version)]
        support = {s.version: self.numbers.get("support", s).value for s in found if s.version != ALL}
        return sorted((v for v in support if support[v] > 0), key=lambda v: (-support[v], v))

    @cached_property
    def changes(self) -> list[Change]:
        """What moved since the window before."""
        if self.material.before is None:
            return []
        before, confidence = Numbers(self.material.before), self.evaluation.confidence
        pairs = [(m, m.of(before, self.total), m.of(self.numbers, self.total)) for m in measures(self.evaluation)]
        known = [change(m, old, new, confidence) for m, old, new in pairs if old.bounded and new.bounded]
        return judged(known, confidence)

    def references(self, series: Series) -> list[Reference]:
        """What a series is held against besides its own past."""
        numbers, found = self.numbers, []
        for labels, difference in numbers.labeled("change", series):
            if labels["reference"] in ("fixed", "offline") and difference.defined:
                own = {name: labels[name] for name in ("of", "reference", "class")}
                shown = numbers.get("change_significant", series, **own).value == 1
                now = numbers.get(labels["of"], series, class_=labels["class"])
                found.append(
                    Reference(called(self.evaluation, labels["of"]), labels["reference"], now, difference, shown)
                )
        return found

    @property
    def status(self) -> str:
        """A key of the statuses."""
        if not self.main.defined:
            return "unknown"
        worse, better = (any(getattr(c, name) for c in self.changes) for name in ("worse", "improved"))
        if worse:
            return "mixed" if better else "worse"
        if any(reference.missed for reference in self.references(self.total)):
            return "short"
        if not self.changes:
            return "alone"
        return "better" if better else "steady"


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
        who = n.listed(worse) if len(worse) <= MOST_SLICES else f"{len(worse)} of {len(found)} models"
        return f"{who} {verb} worse than before"
    short = [n.name(m.evaluation.model) for m, s in zip(materials, found, strict=True) if s == "short"]
    if short:
        return f"{n.listed(short)} {'falls' if len(short) == 1 else 'fall'} short of what is set"
    if all(s in ("steady", "better") for s in found):
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


def findings(judged_: Judged) -> list[Finding]:
    """Everything worth a sentence, the most pressing first."""
    found = [*_of_changes(judged_), *_of_references(judged_), *_of_versions(judged_), *_of_slices(judged_)]
    found += [*_of_scores(judged_), *_of_missing(judged_)]
    order: list[Tone] = ["bad", "warn", "note", "good"]
    return sorted(found, key=lambda finding: order.index(finding.tone))


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
        return f"; not shown to differ from the {moved.measure.told(moved.before.value)} {before}"
    word = "more" if moved.difference.value > 0 else "less"
    return f", {moved.measure.distance(moved.difference.value)} {word} than {before}"


def _of_changes(judged_: Judged) -> Iterator[Finding]:
    for c in judged_.changes:
        if c.significant:
            tone: Tone = "bad" if c.worse else "good" if c.improved else "note"
            yield Finding(tone, _went(c))
    steady = [c.measure.title for c in judged_.changes if not c.significant]
    if steady:
        yield Finding("note", f"No change shown: {n.listed(steady)}.")


def _went(c: Change) -> str:
    measure, verb = c.measure, "rose" if c.difference.value > 0 else "fell"
    from_to = f"from {measure.told(c.before.value)} to {measure.told(c.after.value)}"
    by = f"{measure.distance(c.difference.value)} ({measure.distances(c.difference)})"
    return f"{measure.title} {verb} {from_to}, by {by}."


def _of_references(judged_: Judged) -> Iterator[Finding]:
    for found in judged_.references(judged_.total):
        measure, now = found.measure, found.now.value
        numbers = f"{measure.told(now)} against {measure.told(now - found.difference.value)}"
        if found.missed:
            yield Finding("bad", f"{measure.title} falls short of what is set: {numbers}.")
        elif not found.significant:
            yield Finding("note", f"{measure.title} is not shown to differ from what is set: {numbers}.")


def _of_versions(judged_: Judged) -> Iterator[Finding]:
    """The largest version against each other one."""
    measure, confidence = main_measure(judged_.evaluation), judged_.evaluation.confidence
    told = [(v, measure.of(judged_.numbers, Series(judged_.total.window, v))) for v in judged_.versions]
    told = [(v, number) for v, number in told if number.bounded]
    if len(told) < 2:  # noqa: PLR2004
        return
    best, *others = sorted(told, key=lambda found: -measure.better * found[1].value)
    for c, (version, _) in zip(
        judged([change(measure, best[1], number, confidence) for _, number in others], confidence), others, strict=True
    ):
        if c.worse:
            numbers = f"{measure.told(c.after.value)} against {measure.told(c.before.value)}"
            yield Finding(
                "bad",
                f"Version {n.name(version)} does worse than {n.name(best[0])}: {measure.title.lower()} {numbers}, "
                f"{measure.distance(c.difference.value)} apart ({_apart(c)}).",
            )


def _apart(c: Change) -> str:
    low, high = sorted((abs(c.difference.lower), abs(c.difference.upper)))
    return f"{c.measure.distance(low).removesuffix(' points')} to {c.measure.distance(high)}"


def _of_slices(judged_: Judged) -> Iterator[Finding]:
    """Slices whose interval lies wholly on the bad side of that of all rows."""
    measure, total = main_measure(judged_.evaluation), judged_.main
    if not total.bounded:
        return
    found = []
    for series in judged_.numbers.series(measure.metric):
        number = measure.of(judged_.numbers, series)
        if series.slice == "overall" or series.version != ALL or series.window != judged_.total.window:
            continue
        if number.bounded and _beyond(measure, number, total):
            found.append((series, number))
    found.sort(key=lambda pair: measure.better * pair[1].value)
    for series, number in found[:MOST_SLICES]:
        label = f"{n.name(series.slice)} = {n.name(series.value)}"
        bounds = n.interval(measure.form, number)
        yield Finding("warn", f"{label} does worse than the whole: {measure.title.lower()} "
                              f"{measure.told(number.value)} ({bounds}) over {number.support:,}.")  # fmt: skip
    if len(found) > MOST_SLICES:
        yield Finding("warn", f"{len(found) - MOST_SLICES} more slices do worse than the whole.")


def _beyond(measure: Measure, number: Number, total: Number) -> bool:
    return number.upper < total.lower if measure.better == HIGHER else number.lower > total.upper


def _of_scores(judged_: Judged) -> Iterator[Finding]:
    bias = judged_.numbers.get("calibration_bias", judged_.total)
    if not bias.bounded:
        return
    if bias.lower <= 0 <= bias.upper:
        yield Finding("note", f"Scores are neither too high nor too low on average, within {_within(bias)}.")
        return
    way = "high" if bias.value > 0 else "low"
    low, high = sorted((abs(bias.lower), abs(bias.upper)))
    bounds = f"{n.points(low).removesuffix(' points')} to {n.points(high)}"
    yield Finding("warn", f"Scores are too {way}: {n.points(bias.value)} on average ({bounds}).")


def _within(bias: Number) -> str:
    return n.points(max(abs(bias.lower), abs(bias.upper)))


def _of_missing(judged_: Judged) -> Iterator[Finding]:
    get = partial(judged_.numbers.get, series=judged_.total)
    coverage, expected, failures = (get(f"{m}_ratio") for m in ("label_coverage", "expected_coverage", _FAILURES))
    if coverage.defined and coverage.value < _FULL:
        without = f"{n.percent(1 - coverage.value)} of the predictions have no label, and are in none of these numbers"
        more = f"; {n.percent(expected.value)} are expected to have one in the end" if expected.defined else ""
        immature = get("immature").value == 1
        wait = ". Many labels are still to come: a longer maturity would wait for them" if immature else ""
        yield Finding("warn" if immature else "note", f"{without}{more}{wait}.")
    yield from _of_selection(judged_)
    if failures.defined and failures.value > 0:
        counted = get("accuracy_with_failures_ratio")
        wrong = f"; were they counted as wrong, accuracy would be {n.percent(counted.value)}" if counted.defined else ""
        yield Finding("note", f"{n.percent(failures.value)} of the predictions failed{wrong}.")


def _of_selection(judged_: Judged) -> Iterator[Finding]:
    """Whether the labeled requests are like the others."""
    p, stability = (judged_.numbers.get(f"label_selection_{m}", judged_.total) for m in ("p_value", "psi"))
    if p.defined and p.value < 1 - judged_.evaluation.confidence:
        much = stability.defined and stability.value >= _UNLIKE
        told = f"Labeled requests do not score like those without label (population stability {stability.value:.2f})"
        yield Finding("warn" if much else "note", f"{told}: what is said of them need not hold for all.")
