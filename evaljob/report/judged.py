"""One model that was evaluated, with what follows from its numbers."""

from dataclasses import dataclass
from functools import cached_property

from evaljob.config import Evaluation
from evaljob.metrics.series import ALL, OVERALL
from evaljob.report.catalogue import Measure, called, main_measure, measures
from evaljob.report.change import Change, change, judged
from evaljob.report.gather import Material, main_window
from evaljob.report.numbers import Number, Numbers, Series
from evaljob.window import Window


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

    @property
    def met(self) -> bool:
        """Whether it is shown to be better than the reference."""
        return self.significant and self.difference.value * self.measure.better > 0


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
        """The results that a report tells: of all rows, and of the slices of the main window."""
        results = self.material.results
        assert results is not None  # noqa: S101  (who judges has looked)
        told = (results["window"] == self.window.name) & (results["model_version"] == ALL)
        return Numbers(results[told | (results["slice"] == OVERALL)])

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
        confidence = self.evaluation.confidence
        before = Numbers(self.material.before[self.material.before["slice"] == OVERALL])
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
        asked = [found for found in self.references(self.total) if found.reference == "fixed"]
        if any(found.missed for found in asked):
            return "short"
        if better:
            return "better"
        if asked and all(found.met for found in asked):
            return "met"
        return "steady" if self.changes else "alone"
