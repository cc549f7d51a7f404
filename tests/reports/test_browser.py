"""Pages in a real browser: no error, no request, nothing wider than the screen, numbers as in the files, also those
that one points at, texts that can be read in the light and in the dark, and names that stay text even without the rule
that forbids foreign scripts."""

import json
import os
import shutil
import threading

import page_folders
import pytest

from dnas import paths
from dnas.automl import page as findings
from dnas.automl.look import examine
from dnas.files import append
from dnas.reports import blackbox, comparison, page, serve

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOSTILE = "</script><script>window.hacked=1</script></style><img src=x onerror=window.hacked=1>\"'"
WIDTHS = (380, 1400)
TOO_WIDE = """() => {
  const inside = (e) => e && (e.tagName === "PRE" || e.classList.contains("wide") || inside(e.parentElement));
  const out = [...document.querySelectorAll("body *")].filter((e) => {
    const box = e.getBoundingClientRect();
    return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1) && !inside(e);
  });
  return [document.documentElement.scrollWidth, ...out.map((e) => e.outerHTML.slice(0, 120))];
}"""
CONTRASTS = """() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = (rgb) => [0.2126, 0.7152, 0.0722].reduce((sum, part, i) => sum + part * linear(rgb[i] / 255), 0);
  const contrast = (one, other) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  const behind = (e) => {
    const colour = numbers(getComputedStyle(e).backgroundColor);
    return colour.length < 4 || colour[3] > 0 ? colour : e.parentElement ? behind(e.parentElement) : [255, 255, 255];
  };
  const found = {};
  const look = (what, name, colour) => {
    for (const e of document.querySelectorAll(what)) {
      const value = contrast(light(numbers(getComputedStyle(e)[colour])), light(behind(e.closest("section") ?? e)));
      found[name] = Math.min(found[name] ?? 21, value);
    }
  };
  const texts = ["h1", "h2", "header p", ".lead", ".note", "th", "td", ".legend li", "summary", ".state"];
  for (const what of texts) look(what, what, "color");
  look(".chart text", "chart", "fill");
  return found;
}"""


@pytest.fixture(scope="module")
def browser():
    if BROWSER is None:
        pytest.skip("there is no browser here: chromium, chromium-browser or google-chrome")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
        opened = driver.chromium.launch(executable_path=BROWSER, args=arguments)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Pages by what they are of."""
    root = tmp_path_factory.mktemp("runs")
    return {
        "search": page.page(page_folders.search(root / "search")),
        "training": page.page(page_folders.training(root / "training")),
        "comparison": comparison.page(page_folders.comparison(root / "comparison")),
        "blackbox": blackbox.page(page_folders.blackbox(root / "blackbox")),
        "table": findings.write(examine(page_folders.table(root / "table.csv")), root / "table.html"),
        "images": findings.write(examine(page_folders.images(root / "animals")), root / "images.html"),
    }


class Looked:
    """A page that is open, with what it said and asked for."""

    def __init__(self, browser, address, width=1400, scheme="light", **context):
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **context)
        self.page, self.said, self.asked = self.context.new_page(), [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address if "://" in str(address) else address.as_uri())
        self.foreign = [url for url in self.asked[1:] if not url.startswith("data:")]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


@pytest.mark.parametrize("kind", ["search", "training", "comparison", "blackbox", "table", "images"])
def test_a_page_fits_its_screen_and_asks_for_nothing(browser, written, kind):
    for width in WIDTHS:
        with Looked(browser, written[kind], width) as looked:
            assert looked.said == [] and looked.foreign == []
            looked.page.evaluate("document.querySelectorAll('details').forEach((e) => (e.open = true))")
            assert looked.page.evaluate(TOO_WIDE) == [width]
            assert looked.page.locator("h1").count() == 1 and looked.page.locator("section").count() > 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["search", "table"])
def test_texts_can_be_read(browser, written, kind, scheme):
    with Looked(browser, written[kind], scheme=scheme) as looked:
        found = looked.page.evaluate(CONTRASTS)
        assert {"h1", "td", "chart", *([".legend li"] if kind == "search" else [".state"])} <= set(found)
        assert min(found.values()) >= 4.5, found
        dark = looked.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, dark[4:-1].split(","))) < 60) == (scheme == "dark")


def test_what_one_points_at_is_what_the_rows_hold(browser, written):
    rows = [json.loads(line) for line in (written["search"].parent / "metrics.jsonl").read_text().splitlines()]
    with Looked(browser, written["search"]) as looked:
        chart = looked.page.locator(".chart", has=looked.page.locator("h4", has_text="loss")).first
        for epoch in (1, 3, 4):
            data = json.loads(chart.locator("script").text_content())
            left, top, width, _ = data["plot"]
            chart.scroll_into_view_if_needed()
            box, view = chart.locator("svg").first.bounding_box(), 380
            x = left + (epoch - data["domain"][0]) / (data["domain"][1] - data["domain"][0]) * width
            looked.page.mouse.move(box["x"] + x * box["width"] / view, box["y"] + (top + 20) * box["width"] / view)
            tip = chart.locator(".tip")
            assert tip.locator("div").first.text_content() == f"epoch {epoch}"
            found = dict(
                zip(tip.locator("span").all_text_contents(), tip.locator("b").all_text_contents(), strict=True)
            )
            for part in ("train", "valid"):
                mean = sum(row[f"{part}_loss"] for row in rows if row["epoch"] == epoch) / 2
                assert float(found[part]) == pytest.approx(mean, rel=1e-4)
        looked.page.mouse.move(0, 0)
        assert chart.locator(".tip").count() == 0 and looked.said == []


def test_every_number_of_the_tables_is_that_of_the_files(browser, written):
    rows = [json.loads(line) for line in (written["search"].parent / "metrics.jsonl").read_text().splitlines()]
    with Looked(browser, written["search"]) as looked:
        names = [name.replace(" ", "_") for name in looked.page.locator("#rows th").all_text_contents()]
        cells = [row.locator("td").all_text_contents() for row in looked.page.locator("#rows tbody tr").all()]
        assert [[float(value) for value in line] for line in cells] == [
            pytest.approx([row[name] for name in names], rel=1e-4) for row in rows[-len(cells) :]
        ]
    lines = (written["comparison"].parent / "comparison.csv").read_text().splitlines()[1:]
    with Looked(browser, written["comparison"]) as looked:
        shown = [row.locator("td").all_text_contents() for row in looked.page.locator("#result tbody tr").all()]
        assert [",".join(line) for line in shown] == [line.replace('"', "") for line in lines]


def test_a_black_box_search_shows_its_front_and_its_curve(browser, written):
    folder = written["blackbox"].parent
    lines = (folder / "front.csv").read_text().splitlines()
    curve = json.loads((folder / "summary.json").read_text())["curve"]
    with Looked(browser, written["blackbox"]) as looked:
        shown = [row.locator("td").all_text_contents() for row in looked.page.locator("#rows tbody tr").all()]
        assert [[cell, *map(float, values)] for cell, *values in shown] == [
            [cell, *(pytest.approx(float(value), rel=1e-4) for value in values)]
            for cell, *values in (line.split(",") for line in lines[1:])
        ]
        drawn = json.loads(looked.page.locator("#curves .chart script").text_content())
        assert drawn["x"] == [row[0] for row in curve]
        assert [one["values"] for one in drawn["series"]] == [[row[column] for row in curve] for column in (1, 2, 3)]
        assert looked.page.locator("#costs .chart circle.dot[cx]").count() >= 3
        assert looked.page.locator("#cell svg").count() > 0
        tiles = " ".join(looked.page.locator(".tiles").inner_text().split())
        assert "71.5 ± 1.25 accuracy" in tiles and "0.6 ± 0.1 volume below the front" in tiles


def test_findings_show_the_rows_and_images_that_they_are_of(browser, written):
    root = written["table"].parent
    rows = [line.split(",") for line in (root / "table.csv").read_text().splitlines()]
    with Looked(browser, written["table"]) as looked:
        names = looked.page.locator("#examples th").all_text_contents()
        assert names[:2] == ["row", "target"]
        for row in looked.page.locator("#examples tbody tr, .finding tbody tr").all():
            found = dict(zip(names, row.locator("td").all_text_contents(), strict=True))
            written_there = dict(zip(rows[0], rows[int(found["row"].rpartition(" ")[2])], strict=True))
            assert float(found.pop("size")) == pytest.approx(float(written_there.pop("size")), rel=1e-4)
            assert {name: found[name] for name in written_there} == written_there
        said = looked.page.locator("#findings").inner_text()
        assert "The column 'same' says the target" in said and "10 of 70 rows" in said
    with Looked(browser, written["images"]) as looked:
        sizes = looked.page.evaluate("[...document.querySelectorAll('#findings img')].map((e) => e.naturalWidth)")
        assert sizes and set(sizes) == {12}
        said = looked.page.locator("#findings figcaption").all_text_contents()
        assert any("dog/1.png" in one for one in said) and any("dog/2.png" in one for one in said)


def test_without_scripts_all_numbers_can_be_read(browser, written):
    with Looked(browser, written["training"], java_script_enabled=False) as looked:
        assert looked.page.locator("text=70.31").count() >= 1
        assert looked.page.locator(".chart svg polyline.series").count() >= 2
        legend = looked.page.locator("#curves .legend").first.text_content()
        assert " ".join(legend.split()) == "train 0.5test 0.5"


def test_names_are_never_run(browser, tmp_path):
    """Also where a browser does not know the rule about scripts."""
    run = page_folders.search(tmp_path / "a<img onerror=x>&'", also=HOSTILE, command=HOSTILE)
    cells = [page_folders.cell(HOSTILE)] * 2
    for name in ("genotype.json", "genotypes/epoch_0004.json"):
        (run / name).write_text(json.dumps(cells))
    trained = page_folders.training(tmp_path / "trained", classes=(HOSTILE, "b"), text=HOSTILE)
    compared = page_folders.comparison(tmp_path / "compared", name=HOSTILE.replace('"', ""))
    searched = page_folders.blackbox(tmp_path / "searched", failed=HOSTILE.replace('"', ""))
    table = page_folders.table(tmp_path / "table.csv", name=HOSTILE, word=HOSTILE)
    images = page_folders.images(tmp_path / "images", name=HOSTILE.replace("/", ""))
    pages = [page.page(run), page.page(trained), comparison.page(compared), blackbox.page(searched)]
    pages += [findings.write(examine(data), tmp_path / f"{data.stem}.html") for data in (table, images)]
    for written in pages:
        with Looked(browser, written, width=380, bypass_csp=True) as looked:
            assert looked.page.evaluate("window.hacked") is None and looked.said == [] and looked.foreign == []
            assert looked.page.evaluate(TOO_WIDE) == [380]
            for chart in looked.page.locator(".chart:has(script) svg[role=img]").all():
                chart.hover(force=True)
            assert looked.page.evaluate("window.hacked") is None and looked.said == []
            assert HOSTILE[10:20] in looked.page.locator("body").inner_text()


def test_a_served_page_is_fresh_while_its_run_goes_on(browser, tmp_path):
    folder = page_folders.search(tmp_path / "runs" / "one")
    (tmp_path / "runs" / "<b>two").mkdir()
    page_folders.training(tmp_path / "runs" / "<b>two" / "retrain")
    with serve.server(tmp_path / "runs", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home = f"http://localhost:{server.server_port}"
        with paths.locked(folder, "a search"), Looked(browser, f"{home}/") as looked:
            names = looked.page.locator(".runs .name b").all_text_contents()
            assert names == ["one", "<b>two/retrain"], "what runs comes first"
            assert looked.page.locator(".state").all_text_contents() == ["running", "finished"]
            looked.page.locator(".runs a").first.click()
            assert looked.page.locator("header .state").text_content() == "running"
            append(
                folder / "metrics.jsonl", json.dumps({"step": 50, "epoch": 5, "seed": 3, "train_loss": 0.12345}) + "\n"
            )
            looked.page.locator("#rows td", has_text="0.12345").wait_for(timeout=20_000)
            assert looked.said == [] and all(url.startswith(home) or url.startswith("data:") for url in looked.asked)
        with Looked(browser, f"{home}/run/one/") as looked:
            assert looked.page.locator("header .state").text_content() == "finished"
            assert looked.page.evaluate("document.body.dataset.live") is None, "it has ended: nobody asks any more"
        server.shutdown()
