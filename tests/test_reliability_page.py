"""docs/reliability.md has every row, each with figures, and a test that is named after it."""

import re
from pathlib import Path

import pytest

from scripts.reliability import PAGE, ROWS, page

TESTS = Path(__file__).parent / "reliability"


def sections() -> dict[int, str]:
    """The page's sections by the row's number."""
    parts = re.split(r"(?m)^## (\d+)\. ", PAGE.read_text())[1:]
    return {int(number): text for number, text in zip(parts[::2], parts[1::2], strict=True)}


def test_the_page_has_every_row() -> None:
    """All 21, in their order."""
    assert list(sections()) == list(ROWS) == list(range(1, 22))


@pytest.mark.parametrize("number", ROWS)
def test_a_row_has_figures_and_a_test(number: int) -> None:
    """At least one line of figures, and a test whose name begins with its number."""
    row, section = ROWS[number], sections()[number]
    assert section.startswith(f"{row.fault}\n")
    assert f"Must hold: {row.holds}." in section
    figures = [line for line in section.splitlines() if re.fullmatch(r"\|.*\|[\d. s]*\| \d* ?\|.*\|", line)]
    assert figures
    names = re.findall(r"(?m)^def (test_\d+_\w+)", "\n".join(file.read_text() for file in TESTS.glob("test_*.py")))
    assert [name for name in names if name.startswith(f"test_{number:02}_")]


def test_a_line_of_the_page() -> None:
    """Pipes are escaped, lines stay lines, no time is no time."""
    lines = page([{"row": 5, "fault": "a|b", "seconds": None, "tries": 2, "published": "one\ntwo"}])
    assert "\n| a\\|b |  | 2 | one two |\n" in lines
