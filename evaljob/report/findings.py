"""Everything about a model that is worth a sentence: each says no more than its interval bears out."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from evaljob.metrics.series import ALL
from evaljob.report import numbers as n
from evaljob.report.catalogue import HIGHER, Measure, called, main_measure
from evaljob.report.change import Change, change, judged
from evaljob.report.judged import Judged
from evaljob.report.numbers import Number, Series

Tone = Literal["bad", "warn", "good", "note"]

MOST_SLICES = 3
_FULL = 0.995  # of the coverage: what is missing then is not worth a sentence
_FAILURES = "prediction_failures"
_REFERENCES = {"fixed": "what is set", "offline": "it was offline"}
_UNLIKE = 0.1  # of the population stability index: from here on it is more than little


@dataclass(frozen=True)
class Finding:
    """One sentence that a number bears out."""

    tone: Tone
    text: str


def findings(judged_: Judged) -> list[Finding]:
    """Everything worth a sentence, the most pressing first."""
    found = [*_of_changes(judged_), *_of_references(judged_), *_of_versions(judged_), *_of_slices(judged_)]
    found += [*_of_scores(judged_), *_of_missing(judged_)]
    order: list[Tone] = ["bad", "warn", "note", "good"]
    return sorted(found, key=lambda finding: order.index(finding.tone))


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
        what = _REFERENCES[found.reference]
        if found.missed:
            yield Finding("bad", f"{measure.title} falls short of {what}: {numbers}.")
        elif found.met:
            yield Finding("good", f"{measure.title} is better than {what}: {numbers}.")
        else:
            yield Finding("note", f"{measure.title} is not shown to be better or worse than {what}: {numbers}.")


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
        bounds = called(judged_.evaluation, "calibration_bias").distances(bias)
        yield Finding("note", f"Scores are not shown to be too high or too low on average ({bounds}).")
        return
    way = "high" if bias.value > 0 else "low"
    low, high = sorted((abs(bias.lower), abs(bias.upper)))
    bounds = f"{n.points(low).removesuffix(' points')} to {n.points(high)}"
    yield Finding("warn", f"Scores are too {way}: {n.points(bias.value)} on average ({bounds}).")


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
