"""The report: what it says, that it is whole and safe whatever the logs hold, and how a real Chromium takes it."""

import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from evaljob import page as pages
from evaljob.config import Worker
from evaljob.health import Health, listen
from evaljob.report import report
from evaljob.report.catalogue import Measure
from evaljob.report.change import change, judged
from evaljob.report.gather import thinned
from evaljob.report.numbers import Number, name
from evaljob.schedule import every
from evaljob.statistics.intervals import wilson
from tests import browser, past, projects, servers
from tests.browser import DARK, LIGHT, chromium, probing, screenshot, scroll_width, site
from tests.markup import Element, parse
from tests.projects import Project

NOW = past.hours(96.1)
AWKWARD = [
    "<script>alert(1)</script>", "</style></svg><img src=x onerror=alert(1)>", "\"quotes\" & 'apostrophes'",
    "$x^2$ \\frac{1}", "שלום עולם", "a\u202etxt.exe", "日本", "{{ 7 * 7 }}{% raw %}", "long " * 2048,
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with two days of history, and its state at the end of its logs."""
    project = past.project(tmp_path_factory.mktemp("report") / "project")
    hours = ("--from", past.hours(24).isoformat(), "--to", past.hours(94).isoformat(), "--every", "2h")
    assert project.evaljob("backfill", *hours).code == 0
    assert project.evaljob("run", "--as-of", past.hours(96).isoformat(), "--no-push").code == 0
    return project


@pytest.fixture
def project(made: Project, tmp_path: Path) -> Project:
    """A copy of it."""
    return made.copy(tmp_path)


@pytest.fixture(scope="module")
def html(made: Project) -> str:
    """Its report."""
    return report(past.config(made), NOW, 30)


@pytest.fixture(scope="module")
def document(html: str) -> Element:
    """The same as elements."""
    return parse(html)


def told(project: Project) -> Element:
    """The report of a project."""
    return parse(report(past.config(project), NOW, 30))


def tile(document: Element, title: str) -> Element:
    """A headline number."""
    return next(e for e in document.all("div") if e.attributes.get("class") == "tile" and e.text.startswith(title))


# What it says


def test_numbers_are_those_that_were_published(made: Project, document: Element) -> None:
    """The tiles of the longest window show what `run` prints for it, with the interval and the support."""
    ended = made.evaljob("run", "--as-of", past.hours(96).isoformat(), "--no-push", "--output", "json")
    total = {"model_version": "all", "slice": "overall", "window": "2d_mature"}
    found = {row["metric"]: row for row in ended.results() if total.items() <= row.items() and "quantile" not in row}
    accuracy, support = found["accuracy_ratio"], found["support"]["value"]
    bounds = f"{accuracy['lower'] * 100:.1f} to {accuracy['upper']:.1%}"
    assert tile(document, "Accuracy").has("value").text == f"{accuracy['value']:.1%}"
    assert tile(document, "Accuracy").has("sub").text == bounds
    assert tile(document, "Support").has("value").text == f"{support:.0f}"
    assert (
        f"Right in {accuracy['value']:.1%} (95% interval {bounds}) of {support:.0f} labeled requests" in document.text
    )


def test_the_confusion_matrix_adds_up_to_the_support(document: Element) -> None:
    """Two rows of two counts and their sum, all of the support, and its diagonal the accuracy."""
    table = next(e for e in document.all("table") if e.attributes.get("class") == "matrix")
    cells = [[cell.text for cell in row.all("td")] for row in table.all("tr")][2:]
    (tn, fp, no), (fn, tp, yes) = ([int(text.split()[0]) for text in row] for row in cells)
    assert (tn + fp, fn + tp) == (no, yes)
    assert tile(document, "Support").has("value").text == str(no + yes)
    assert tile(document, "Accuracy").has("value").text == f"{(tn + tp) / (no + yes):.1%}"


def test_every_part_is_there(document: Element) -> None:
    """Trends, windows, confusion, scores, thresholds, slices, labels, books; each is in the contents."""
    blocks = [e.attributes["id"] for e in document.all("section") if "block" in e.attributes.get("class", "")]
    assert blocks == [
        f"m1-{part}" for part in ("trends", "windows", "confusion", "scores", "thresholds", "slices", "labels", "books")
    ]
    nav = next(document.all("nav"))
    assert {f"#{block}" for block in blocks} < {a.attributes["href"] for a in nav.all("a")}


def test_slices_are_ranked_by_what_they_lose(made: Project, document: Element) -> None:
    """The three countries of the longest window, by the upper end of their accuracy."""
    ended = made.evaljob("run", "--as-of", past.hours(96).isoformat(), "--no-push", "--output", "json")
    wanted = {"model_version": "all", "slice": "country", "window": "2d_mature", "metric": "accuracy_ratio"}
    rows = sorted((row for row in ended.results() if wanted.items() <= row.items()), key=lambda row: row["upper"])
    table = next(e for e in document.all("table") if "Slices by accuracy" in next(e.all("caption")).text)
    assert [next(row.all("bdi")).text for row in next(table.all("tbody")).all("tr")] == [r["slice_value"] for r in rows]


def test_coverage_by_age_adds_up(made: Project, document: Element) -> None:
    """The bands of age hold every prediction of the window, and their labels are its coverage."""
    table = next(e for e in document.all("table") if next(e.all("caption")).text == "Label coverage by age")
    rows = [[cell.text for cell in row.all("td")] for row in next(table.all("tbody")).all("tr")]
    number = [int(row[-1].replace(",", "")) for row in rows]
    labeled = sum(float(row[0].split("%")[0]) / 100 * n for row, n in zip(rows, number, strict=True))
    ended = made.evaljob("run", "--as-of", past.hours(96).isoformat(), "--no-push", "--output", "json")
    found = {"window": "2d_mature"}
    assert sum(number) == ended.value("predictions", **found)
    assert labeled / sum(number) == pytest.approx(ended.value("label_coverage_ratio", **found), abs=1e-3)


def test_a_model_that_broke_is_said_to_have_broken(project: Project) -> None:
    """Predictions of the last two days are turned round, so that accuracy falls: heading, sentence, finding."""
    day = past.hours(36).strftime("%Y-%m-%d %H:%M")
    project.execute(f"UPDATE predictions SET prediction = 1 - prediction WHERE predicted_at > '{day}'")
    assert project.evaljob("run", "--as-of", past.hours(96).isoformat(), "--no-push", "--full").code == 0
    document = told(project)
    assert next(document.all("h1")).text == "m: worse than before"
    assert "points less than in the 2 days before" in document.has("lede").text
    findings = [li.text for li in document.has("findings").all("li")]
    assert any(text.endswith("points).") and "Accuracy fell from" in text for text in findings)


def test_no_change_is_not_called_one(document: Element) -> None:
    """The same model on the same kind of requests: nothing is shown, and nobody claims that nothing changed."""
    assert next(document.all("h1")).text == "m: no change shown"
    assert "not shown to differ from" in document.has("lede").text


def test_a_number_that_is_set(project: Project) -> None:
    """Accuracy is held against 99%, and is shown not to reach it: heading, finding, table."""
    project.replace("    min_support: 3", "    change: {fixed: {accuracy_ratio: 0.99}}\n    min_support: 3")
    project.evaljob("run", "--as-of", past.hours(96).isoformat(), "--no-push", "--full")
    document = told(project)
    assert next(document.all("h1")).text == "m: short of what is set"
    accuracy = tile(document, "Accuracy").has("value").text
    assert f"Accuracy falls short of what is set: {accuracy} against 99.0%." in document.has("findings").text
    table = next(e for e in document.all("table") if next(e.all("caption")).text == "Against what is set, and offline")
    cells = [cell.text for cell in next(next(table.all("tbody")).all("tr")).all("td")]
    assert (cells[0], cells[2], cells[-1]) == ("all", "99.0%", "yes")
    assert cells[1].startswith(accuracy)


def test_how_far_slices_lie_apart(made: Project, document: Element) -> None:
    """The largest gap of accuracy between countries is that between the first and the last of the ranking."""
    ended = made.evaljob("run", "--as-of", past.hours(96).isoformat(), "--no-push", "--output", "json")
    wanted = {"model_version": "all", "slice": "country", "window": "2d_mature", "metric": "accuracy_ratio"}
    values = [row["value"] for row in ended.results() if wanted.items() <= row.items()]
    table = next(e for e in document.all("table") if "How far values" in next(e.all("caption")).text)
    row = next(r for r in table.all("tr") if "Accuracy" in r.text)
    assert f"{(max(values) - min(values)) * 100:.1f} points" in row.text


def test_stale_results_are_called_stale(made: Project) -> None:
    """Every five minutes: after 16 minutes three runs were due."""
    fresh, stale = (report(past.config(made), past.hours(96) + timedelta(minutes=m), 30) for m in (14, 16))
    assert "Stale." not in fresh
    assert "The results were 16min old" in stale


def test_newcombes_difference() -> None:
    """56 of 70 against 48 of 80: 0.2000 with 0.0524 to 0.3339. Newcombe (1998), Statistics in Medicine 17, table II."""
    counts = ((56, 70), (48, 80))
    limits = [wilson(k, n, 0.95) for k, n in counts]
    after, before = (Number(k / n, float(x.lower), float(x.upper), n) for (k, n), x in zip(counts, limits, strict=True))
    found = change(Measure("accuracy_ratio", "", ""), before, after, 0.95)
    assert found.difference.value == pytest.approx(0.2)
    assert found.difference.lower == pytest.approx(0.0524, abs=5e-5)
    assert found.difference.upper == pytest.approx(0.3339, abs=5e-5)
    assert 0 < found.p_value < 0.05


def test_a_difference_is_judged_beside_the_others() -> None:
    """P = 0.03 alone is shown; beside three that are chance it is not (Benjamini and Hochberg: 4 x 0.03 > 0.05)."""
    measure, z = Measure("accuracy_ratio", "", ""), 1.959964
    before = Number(0.5, 0.5, 0.5, 100)
    one, chance = (change(measure, before, Number(0.5 + d, 0.5 + d - z, 0.5 + d + z, 100), 0.95) for d in (2.17, 0.1))
    assert one.p_value == pytest.approx(0.03, abs=1e-3)
    assert judged([one], 0.95)[0].worse is False
    assert judged([one], 0.95)[0].improved
    assert not any(found.significant for found in judged([one, chance, chance, chance], 0.95))


def test_trends_keep_their_ends() -> None:
    """A thousand instants become at most a hundred, spread evenly, the first and the last among them."""
    instants = [NOW + timedelta(minutes=i) for i in range(1000)]
    kept = thinned(instants, 100)
    assert (kept[0], kept[-1], len(kept)) == (instants[0], instants[-1], 100)
    gaps = {later - earlier for earlier, later in pairwise(kept)}
    assert max(gaps) - min(gaps) <= timedelta(minutes=1)


# What is missing is said


def test_before_the_first_run(project: Project) -> None:
    """Without a state there is a page that says what to run, and nothing is made that was not there."""
    (project.folder / "state.db").unlink()
    document = told(project)
    assert next(document.all("h1")).text == "m: never evaluated"
    assert "Run evaljob run, and evaljob backfill for its past." in document.text
    assert not (project.folder / "state.db").exists()


def test_without_a_past(project: Project) -> None:
    """One run and no history: numbers, and that there is nothing to compare them with yet."""
    (project.folder / "state.db").unlink()
    project.evaljob("run", "--as-of", past.hours(96).isoformat(), "--no-push")
    document = told(project)
    assert next(document.all("h1")).text == "m: nothing to compare with yet"
    assert "The last 30 days of the history hold fewer than two instants." in document.text
    assert tile(document, "Accuracy").has("value").text.endswith("%")


def test_without_the_logs(project: Project, html: str) -> None:
    """The state and the history suffice: only the statements are missing, and why is said."""
    (project.folder / "logs.db").unlink()
    page = report(past.config(project), NOW, 30)
    assert "logs.db: there is no such file" in page
    before, after = (re.findall(r"<svg.*?</svg>", text, re.DOTALL) for text in (html, page))
    assert before == after
    assert "the full count, as it runs" in html
    assert "the full count, as it runs" not in page


def test_with_another_configuration(project: Project) -> None:
    """Cells that mean something else are not shown as if they meant this; the published numbers are."""
    project.replace("windows: [6h, 24h,", "windows: [6h, 12h,")
    document = told(project)
    assert "The configuration has changed since the last run." in document.text
    assert "Scores by label" not in document.text
    assert tile(document, "Accuracy").has("value").text.endswith("%")


def test_with_damaged_cells(project: Project) -> None:
    """They are not read as numbers."""
    with closing(sqlite3.connect(project.folder / "state.db")) as connection:
        connection.executescript("UPDATE evaljob_state SET cells = x'00'")
    assert "The stored cells are damaged." in told(project).text


def test_too_few_labels(project: Project) -> None:
    """A window with less than min_support tells how much there is, and no quality."""
    project.replace("min_support: 3", "min_support: 5000")
    project.evaljob("run", "--as-of", past.hours(96).isoformat(), "--no-push", "--full")
    document = told(project)
    assert next(document.all("h1")).text == "m: too few labels to tell"
    assert "with fewer than 5,000 no quality is told" in document.has("lede").text


# Whole, and safe


def test_structure(document: Element) -> None:
    """Landmarks, one main heading, no level left out, and every id once."""
    assert [len(list(document.all(tag))) for tag in ("main", "nav", "footer", "h1")] == [1, 1, 1, 1]
    levels = [int(e.tag[1]) for e in document.all("h1", "h2", "h3", "h4")]
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    ids = [e.attributes["id"] for e in document.all() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    assert next(document.all("html")).attributes["lang"] == "en"


def test_references_lead_somewhere(document: Element) -> None:
    """Links, labels, clips and markers: all within the page."""
    ids = {e.attributes["id"] for e in document.all() if "id" in e.attributes}
    for element in document.all():
        for attribute in ("aria-labelledby", "aria-describedby"):
            assert set(element.attributes.get(attribute, "").split()) <= ids
        href = element.attributes.get("href", "#content")
        assert href == "data:," or (href[0] == "#" and href[1:] in ids)
        for attribute in ("clip-path", "style"):
            assert set(re.findall(r"url\(#(.*?)\)", element.attributes.get(attribute, ""))) <= ids


def test_tables_and_figures_can_be_heard(document: Element) -> None:
    """Each table has a caption, its headings a scope; each figure is an image with a name, words and its numbers."""
    tables = list(document.all("table"))
    assert all(next(table.all("caption")).text for table in tables)
    assert {cell.attributes.get("scope") for table in tables for cell in table.all("th")} == {"col", "row", "colgroup"}
    figures = list(document.all("figure"))
    assert len(figures) > 10
    for figure in figures:
        image = next(e for e in figure.all() if e.attributes.get("role") == "img")
        assert next(figure.all("h4")).attributes["id"] == image.attributes["aria-labelledby"]
        assert next(figure.all("figcaption")).text
        assert len(list(next(figure.all("table")).all("tr"))) > 2


def test_everything_that_scrolls_is_reached_by_keyboard(document: Element) -> None:
    """Wide tables and code take the focus, and have a name."""
    regions = [e for e in document.all("pre", "div") if e.tag == "pre" or e.attributes.get("class") == "scroll"]
    assert {e.attributes["tabindex"] for e in regions} == {"0"}
    assert all(e.attributes["aria-label"] for e in regions)


def test_nothing_comes_from_elsewhere(html: str, document: Element) -> None:
    """No script, no address of another host but the namespaces' names, and a policy that forbids what slipped in."""
    assert not list(document.all("script", "img", "iframe", "object", "embed"))
    assert not [e for e in document.all() if any(a in e.attributes for a in ("src", "srcset", "action", "onload"))]
    style = next(document.all("style")).text
    assert len(list(document.all("style"))) == 1
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in html


def test_the_same_numbers_give_the_same_bytes(made: Project, html: str) -> None:
    """In a process of its own, with another hash seed."""
    code = (
        "import sys; from datetime import datetime; from pathlib import Path; from evaljob.config import load;"
        "from evaljob.report import report;"
        "sys.stdout.buffer.write(report(load(Path(sys.argv[1]), {}), datetime.fromisoformat(sys.argv[2]), 30).encode())"
    )
    arguments = [sys.executable, "-W", "error", "-c", code, str(made.folder / "config.yaml"), NOW.isoformat()]
    done = subprocess.run(arguments, capture_output=True, check=True, timeout=100, env={"PYTHONHASHSEED": "7"})
    assert done.stdout.decode() == html


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report whose names of slices and versions are chosen by somebody who means no good."""
    folder = tmp_path_factory.mktemp("awkward")
    project = past.project(folder / "project")
    for i, text in enumerate(AWKWARD):
        quoted = text.replace("'", "''")
        project.execute(f"UPDATE predictions SET country = '{quoted}' WHERE rowid % {len(AWKWARD)} = {i}")
        project.execute(f"UPDATE predictions SET model_version = '{quoted}' WHERE rowid % {len(AWKWARD)} = {i}")
    for hour in (40, 44, 92, 96):
        assert project.evaljob("run", "--as-of", past.hours(hour).isoformat(), "--no-push").code == 0
    return report(past.config(project), NOW, 30)


def test_names_are_text(awkward: str) -> None:
    """Whatever a name is, it is text: shortened where it is long, marked where it would turn the line."""
    document = parse(awkward)
    assert not list(document.all("script", "img"))
    assert "&lt;script&gt;" in awkward
    shown = {e.text for e in document.all("bdi")}
    assert {" ".join(name(text).split()) for text in AWKWARD} <= shown
    assert "\u202e" not in awkward
    assert "49" not in shown
    assert len(awkward) < 3e6


def test_a_long_name_keeps_its_ends() -> None:
    """Two that differ at the end stay different."""
    assert name("x" * 100 + "1") != name("x" * 100 + "2")
    assert len(name("x" * 10_000)) < 64


def test_no_secret_is_shown(project: Project) -> None:
    """Passwords of the database, in its options too, and of the gateway; the rest of the addresses stays."""
    url = "postgresql+psycopg://joe:s3cret-1@127.0.0.1:1/logs?sslmode=disable&sslpassword=s3cret-2"
    text = (project.folder / "config.yaml").read_text()
    text = text.replace("sqlite:///logs.db", url).replace(
        "pushgateway: {url: null, timeout: 5s}",
        "pushgateway: {url: 'http://127.0.0.1:9', username: joe, password: s3cret-3}",
    )
    assert "s3cret-3" in text
    (project.folder / "config.yaml").write_text(text)
    page = report(past.config(project), NOW, 30)
    assert "s3cret" not in page
    assert "postgresql+psycopg://joe:***@127.0.0.1:1/logs?sslmode=disable&amp;sslpassword=***" in page
    assert "password: &#39;***&#39;" in page


# Other tasks


@pytest.mark.parametrize(
    ("task", "there", "absent"),
    [
        ("multiclass", ["Each class against the rest", "F1, macro", "Scores by outcome"], ["Other thresholds"]),
        ("regression", ["Mean absolute error", "How far off"], ["Confusion matrix", "Scores by"]),
    ],
)
def test_other_tasks(project: Project, task: str, there: list[str], absent: list[str]) -> None:
    """What has no meaning for a task is not on its page."""
    project.replace("task: binary", f"task: {task}")
    project.replace("    positive_label: 1\n", "")
    project.evaljob("run", "--as-of", past.hours(94).isoformat(), "--no-push", "--full")
    assert project.evaljob("run", "--as-of", past.hours(96).isoformat(), "--no-push", "--full").code == 0
    text = told(project).text
    assert [part for part in there if part not in text] == []
    assert [part for part in absent if part in text] == []


def test_costs_by_threshold(project: Project) -> None:
    """Where costs are configured: cost per prediction as a tile, per slice, and at every threshold."""
    project.replace(
        "    min_support: 3", "    costs: {currency: USD, outcomes: {tp: 0, fp: 1, fn: 5, tn: 0}}\n    min_support: 3"
    )
    project.evaljob("run", "--as-of", past.hours(96).isoformat(), "--no-push", "--full")
    document = told(project)
    figure = next(e for e in document.all("figure") if "Cost per prediction by threshold, USD" in e.text)
    sentence = r"a request cost ([\d.]+) USD. The threshold [\d.]+ \(.* to .*\) would have cost least, ([\d.]+) USD"
    found = re.search(sentence, figure.text)
    assert found is not None
    assert float(found[2]) <= float(found[1]) == float(tile(document, "Cost per prediction").has("value").text[:-4])
    rows = [[cell.text for cell in row.all("th", "td")] for row in next(figure.all("tbody")).all("tr")]
    assert (rows[0][0], rows[-1][0]) == ("0.00", "1.00")


# The command


def test_the_command_writes_a_file(project: Project, tmp_path: Path) -> None:
    """At once, and where it was told to; - is standard output."""
    file = tmp_path / "page.html"
    ended = project.evaljob("report", "--output", file)
    assert (ended.code, ended.out) == (0, f"wrote {file}\n")
    assert file.read_text().startswith("<!doctype html>")
    assert not list(tmp_path.glob("*.part"))
    assert project.evaljob("report", "--output", "-").out.startswith("<!doctype html>")


def test_a_place_that_cannot_be_written(project: Project) -> None:
    """It says which, and how to mend it."""
    ended = project.evaljob("report", "--output", project.folder / "nowhere" / "page.html")
    assert ended.code == 2
    assert "page.html: cannot be written: No such file or directory; choose another place" in ended.err


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_without_the_extra(project: Project, library: str) -> None:
    """It names the extra."""
    ended = projects.process("report", cwd=project.folder, start=f"sys.modules[{library!r}] = None")
    assert ended.code == 2
    assert "pip install 'evaljob[report]'" in ended.err


# The worker's page


def test_the_page_is_made_once_for_each_state(project: Project) -> None:
    """Asked three times it is made once; after another run it is made again."""
    calls = project.folder / "calls"
    code = f"open({str(calls)!r}, 'a').write('x'); print('page', end='')"
    served = pages.Page(past.config(project), [sys.executable, "-c", code])
    assert {served.answer().body for _ in range(3)} == {b"page"}
    assert calls.read_text() == "x"
    assert project.evaljob("run", "--as-of", past.hours(96.5).isoformat(), "--no-push").code == 0
    served.answer()
    assert calls.read_text() == "xx"


@pytest.mark.timeout(300)  # its process gives way to all others
def test_the_page_is_the_report(project: Project) -> None:
    """Made by the command itself; 503 with the reason where it cannot be, and the next request tries again."""
    served = pages.Page(past.config(project))
    shutil.move(project.folder / "labels.sql", project.folder / "away.sql")
    answer = served.answer()
    assert answer.status == 503
    assert b"labels" in answer.body
    shutil.move(project.folder / "away.sql", project.folder / "labels.sql")
    answer = served.answer()
    assert (answer.status, answer.kind) == (200, "text/html; charset=utf-8")
    assert tile(parse(answer.body.decode()), "Accuracy").has("value").text.endswith("%")


def test_health_does_not_wait_for_the_page(project: Project) -> None:
    """While a page is being made that takes half a minute, /healthz answers; the end of the worker ends its making."""
    slow = pages.Page(past.config(project), [sys.executable, "-c", "import time; time.sleep(30)"])
    with listen(Worker(port=0), Health(every(timedelta(minutes=5)), datetime.now(UTC)), slow) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        statuses: list[int] = []
        asked = threading.Thread(target=lambda: statuses.append(status(f"{server.url}/")))
        asked.start()
        servers.wait_until(lambda: slow.busy, "the page to be made")
        began = time.monotonic()
        assert status(f"{server.url}/healthz") == 200
        assert time.monotonic() - began < 5
        slow.close()
        asked.join(timeout=10)
        assert statuses == [503]
        server.shutdown()


def status(url: str) -> int:
    """That of an answer."""
    try:
        with urlopen(url, timeout=60) as answer:  # noqa: S310  (the worker's own address)
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


# In a browser


@pytest.fixture(scope="module")
def served(html: str, awkward: str) -> Iterator[browser.Site]:
    """The reports, and pages that look at them."""
    leaking = html.replace("<meta http-equiv", "<meta name").replace("<h1>", '<img src="http://example.org/x.png"><h1>')
    violating = html.replace("<h1>", '<img src="http://example.org/x.png"><h1>')
    found = {"/": html, "/awkward": awkward, "/leaking": leaking, "/violating": violating}
    probes = {f"/probe{path}": probing(path, 390) for path in ("/", "/awkward")}
    with site(found | probes) as opened:
        yield opened


def test_chromium_would_tell(served: browser.Site) -> None:
    """What the next tests look for is seen where it is: a fetch from another host, and an error of the console."""
    served.requests.clear()
    chromium(served, "/leaking", "--dump-dom")
    assert "example.org /x.png" in served.requests
    assert any("Content Security Policy" in line for line in chromium(served, "/violating", "--dump-dom").console)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("width", [390, 1280])
def test_in_chromium(served: browser.Site, tmp_path: Path, width: int, theme: str) -> None:
    """On a phone and a desk, light and dark: nothing is fetched, the console is silent, the paper has its colour."""
    served.requests.clear()
    seen, pixels = screenshot(served, "/", width, theme, tmp_path / "page.png")
    assert seen.console == []
    assert served.requests == [f"{served.address} /"]
    assert pixels.shape[1] == width
    assert tuple(pixels[2, 2]) == ((20, 22, 26) if theme == DARK else (252, 251, 248))
    assert len({tuple(pixel) for pixel in pixels.reshape(-1, 3)[::7]}) > 50


@pytest.mark.parametrize("path", ["/", "/awkward"])
def test_a_phone_needs_no_scrolling_sideways(served: browser.Site, path: str) -> None:
    """At 390 pixels the page is 390 wide, whatever the names in it."""
    assert scroll_width(served, f"/probe{path}") == 390


def test_it_prints(served: browser.Site, tmp_path: Path) -> None:
    """A PDF of some pages, whose text can be searched."""
    chromium(served, "/", "--no-pdf-header-footer", f"--print-to-pdf={tmp_path / 'page.pdf'}")
    pdf = (tmp_path / "page.pdf").read_bytes()
    assert 4 <= len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf)) <= 20
    assert b"/Font" in pdf


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(html: str, theme: str) -> None:
    """Text stands out from the paper by at least 4.5 to 1 (WCAG 2.2, 1.4.3), in both themes."""
    blocks = re.findall(r":root \{(.*?)\}", html, re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", blocks[theme == "dark"]))
    for name_ in ("ink", "muted", "one", "two", "three", "good", "warn", "bad"):
        for ground in ("paper", "surface"):
            assert contrast(colours[name_], colours[ground]) >= 4.5, (name_, ground)


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminances."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
