"""Pages say what the files say; what files and names hold is text on them, whatever it is."""

import html.parser
import json
import re

import page_folders
import pytest

from dnas import cli
from dnas.architectures.genotype import from_json
from dnas.errors import StorageError
from dnas.reports import blackbox, charts, comparison, drawing, graphs, mistakes, page, svg, why
from dnas.reports import html as pages

HOSTILE = "</script><script>alert(1)</script></style></title><img src=x onerror=alert(1)>\"'><b>&amp;\u2028"


class Tags(html.parser.HTMLParser):
    """Counts tags, keeps handlers of events and what scripts hold."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.handlers, self.scripts, self.links, self.inside = {}, [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.links += [value for name, value in attrs if name in ("src", "href", "action", "xlink:href")]
        self.inside = tag

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts.append(data)

    def handle_endtag(self, tag):
        self.inside = ""


def numbers(text):
    """Of every chart its numbers."""
    found = re.findall(r'<script type="application/json">(.*?)</script>', text)
    return [json.loads(one) for one in found]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return {
        "search": page_folders.search(root / "search"),
        "training": page_folders.training(root / "training"),
        "comparison": page_folders.comparison(root / "comparison"),
        "blackbox": page_folders.blackbox(root / "blackbox"),
    }


@pytest.fixture(scope="module")
def texts(folders):
    """HTML by folder."""
    return {
        "search": pages.render("page.html.jinja", page.described(folders["search"])),
        "training": pages.render("page.html.jinja", page.described(folders["training"])),
        "comparison": pages.render("comparison.html.jinja", comparison.described(folders["comparison"])),
        "blackbox": pages.render("page.html.jinja", blackbox.described(folders["blackbox"])),
    }


def test_the_curves_are_those_of_the_rows(folders, texts):
    rows = [json.loads(line) for line in (folders["search"] / "metrics.jsonl").read_text().splitlines()]
    losses = next(
        one for one in numbers(texts["search"]) if [s["name"] for s in one.get("series", ())] == ["train", "valid"]
    )
    assert losses["x"] == [1, 2, 3, 4]
    for series in losses["series"]:
        means = [sum(row[f"{series['name']}_loss"] for row in rows if row["epoch"] == e) / 2 for e in losses["x"]]
        assert series["values"] == pytest.approx(means, rel=1e-5)


def test_the_mix_and_the_cell_are_those_of_the_rows(folders, texts):
    rows = [json.loads(line) for line in (folders["search"] / "mix.jsonl").read_text().splitlines()]
    mixes = [one for one in numbers(texts["search"]) if len(one.get("series", ())) == len(page_folders.OPTIONS)]
    assert len(mixes) == 2 * len(page_folders.EDGES)
    best = page.scores.best_seed(*(f(folders["search"]) for f in (page.read_metrics, page.measure_of)), 2)
    own = [row["mix"]["cell"] for row in rows if row["seed"] == 3 + best]
    for edge, chart in zip(page_folders.EDGES, mixes, strict=False):
        for option, series in zip(page_folders.OPTIONS, chart["series"], strict=True):
            assert series["values"] == pytest.approx([mix[edge][option] for mix in own], rel=1e-5)
    first_cell = texts["search"].split('class="cell"')[1].split("</svg>")[0]
    for edge, place in page_folders.EDGES.items():
        weight = own[-1][edge][page_folders.OPTIONS[place]]
        assert f">{drawing._number(weight)}</tspan>" in first_cell


def test_the_page_of_a_training_says_what_was_taken_for_what(texts):
    text = texts["training"]
    assert "45 of 64 images of mine were right" in text and "12,345 parameters" in text and "70.31" in text
    table = text.split('class="matrix"')[1].split("</table>")[0]
    assert [int(n) for n in re.findall(r'">(\d+)</td>', table)] == [30, 12, 7, 15]
    assert "71 % of cat" in table and text.count("90.0 % sure") == 2 and "number 8" in text


def test_the_page_of_a_training_says_which_numbers_are_far_off(tmp_path):
    folder = page_folders.training(tmp_path / "run", tested=page_folders.tested_numbers("price"))
    text = pages.render("page.html.jinja", page.described(folder))
    assert "64 rows of price (seed 1)" in text and "Of price, in its unit" in text and ">1.5</td>" in text
    assert '<b>3</b>, said <b class="bad">-1.25</b> <span>(4.25 off; number 8)' in text
    assert "row 8" in text and '<th scope="row">b</th><td>–</td>' in text


def test_the_page_of_a_training_says_which_texts_were_translated_badly(tmp_path):
    folder = page_folders.training(tmp_path / "run", tested=page_folders.tested_translations("ein <Text>"))
    text = pages.render("page.html.jinja", page.described(folder))
    assert "64 texts of ein &lt;Text&gt; (seed 1)" in text and ">21.3</td>" in text
    caption = '<b>of ein &lt;Text&gt;</b>, translated as <b class="bad">for ein &lt;Text&gt;</b> '
    assert f"<blockquote>ein &lt;Text&gt;</blockquote>\n<figcaption>{caption}" in text
    assert "(chrF 12.3, BLEU 0.0; number 8)" in text


def test_a_comparison_says_who_is_best_and_what_may_be_chance(folders, texts):
    text = texts["comparison"]
    assert "mine is best of 3, with 91.00 ± 1.00 % over 3 searches." in text
    assert "differs by more than chance from darts (" in text
    rows = json.loads((folders["comparison"] / "comparison.json").read_text())
    points = next(one["points"] for one in numbers(text) if "points" in one)
    assert [point["name"] for point in points] == [row["name"] for row in rows]
    assert [point["texts"][1] for point in points] == ["10 seconds", "30 seconds", "90 seconds"]


def test_a_search_says_what_its_cell_is_worth_by_itself(tmp_path):
    folder = page_folders.search(tmp_path / "run")
    before = pages.render("page.html.jinja", page.described(folder))
    assert "<code>dnas retrain run</code>" in before and "Trained by itself" not in before
    page_folders.training(folder / "retrain")
    after = pages.render("page.html.jinja", page.described(folder))
    assert "the found network has 70.31 % test accuracy" in after and "dnas retrain run" not in after


def test_what_a_name_holds_is_text_on_every_page(tmp_path):
    quoted = HOSTILE.replace('"', '""')
    run = page_folders.search(tmp_path / "a<img onerror=x>&\"'", also=HOSTILE, command=HOSTILE)
    plain = page_folders.search(tmp_path / "plain")
    trained = page_folders.training(tmp_path / "trained", classes=(HOSTILE, f"{HOSTILE} 2"), text=HOSTILE)
    others = (page_folders.tested_numbers, page_folders.tested_translations)
    tested = [page_folders.training(tmp_path / f"tested_{i}", tested=one(HOSTILE)) for i, one in enumerate(others)]
    compared = page_folders.comparison(tmp_path / "compared", name=quoted.replace("\u2028", " "))
    for folder, names in ((run, [HOSTILE]), (plain, ["<noise>"])):
        genotypes = [page_folders.cell(*names)] * 2
        (folder / "genotype.json").write_text(json.dumps(genotypes))
        (folder / "genotypes" / "epoch_0004.json").write_text(json.dumps(genotypes))
    kinds = {
        run: plain,
        trained: page_folders.training(tmp_path / "good"),
        compared: page_folders.comparison(tmp_path / "c"),
    }
    kinds |= {
        folder: page_folders.training(tmp_path / f"plain_{i}", tested=one())
        for i, (folder, one) in enumerate(zip(tested, others, strict=True))
    }
    for hostile, harmless in kinds.items():
        bad, good = (
            Tags(pages.render("comparison.html.jinja", comparison.described(folder)))
            if folder.name in ("compared", "c")
            else Tags(pages.render("page.html.jinja", page.described(folder)))
            for folder in (hostile, harmless)
        )
        assert not bad.handlers
        assert all(link.startswith(("data:", "#")) for link in bad.links)
        for tag in ("script", "style", "img", "title", "b", "link", "meta"):
            assert bad.tags.get(tag) == good.tags.get(tag), (hostile.name, tag)
        assert [script for script in bad.scripts if "alert(1)" in script and not script.startswith("{")] == []


def test_a_page_runs_no_script_but_ours_and_loads_nothing(texts):
    for text in texts.values():
        tags = Tags(text)
        ours = [script for script in tags.scripts if not script.startswith("{")]
        assert len(ours) == 1 and tags.handlers == []
        rule = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
        assert rule.startswith("default-src &#39;none&#39;") and "unsafe-inline&#39;; script" in rule
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.pop("confusion"),
        lambda found: found.update(confusion=[[1]]),
        lambda found: found["mistakes"][0].update(true=7),
        lambda found: found["mistakes"].append(3),
    ],
    ids=["no confusion", "other classes", "an unknown class", "no mistake"],
)
def test_a_damaged_test_is_one_sentence(tmp_path, change):
    folder = page_folders.training(tmp_path / "run")
    found = json.loads((folder / "test.json").read_text())
    change(found)
    (folder / "test.json").write_text(json.dumps(found))
    with pytest.raises(StorageError, match="test.json is damaged: remove it"):
        mistakes.examined(folder)


@pytest.mark.parametrize("tested", [page_folders.tested_numbers, page_folders.tested_translations])
@pytest.mark.parametrize("name", ["measures", "count", "mistakes"])
def test_another_damaged_test_is_one_sentence(tmp_path, tested, name):
    folder = page_folders.training(tmp_path / "run", tested=tested() | {name: "?"})
    with pytest.raises(StorageError, match="test.json is damaged: remove it"):
        mistakes.examined(folder)


def test_a_picture_that_would_leave_its_attribute_is_not_shown(tmp_path):
    folder = page_folders.training(tmp_path / "run")
    found = json.loads((folder / "test.json").read_text())
    found["mistakes"][0]["image"] = '" onerror="alert(1)'
    (folder / "test.json").write_text(json.dumps(found))
    assert [one["kind"] for one in mistakes.examined(folder)["mistakes"]] == ["none", "text"]


def test_why_is_shown_as_it_was_measured(tmp_path):
    folder = page_folders.search(tmp_path / "run")
    decision = {"kind": "cell", "name": "3<-0", "node": 3, "source": 0, "label": "edge 3<-0", "found": "none"}
    decision |= {"options": ["none", "skip_connect"], "mix": [0.25, 0.75], "lost": 0.0312, "chance": 0.01}
    decision |= {"most_needed": "skip_connect", "in_mix": None, "in_found": None}
    asked = {"sentence": "Edge 3<-0 decides.", "seed": 3, "score": {"name": "accuracy", "more": True}}
    asked |= {"decisions": [decision], "agreement": {"kendall": 0.5, "same": 1, "of": 1}, "reasons": {"x": "<none>"}}
    (folder / "why.json").write_text(json.dumps(asked))
    text = pages.render("page.html.jinja", page.described(folder))
    assert "Edge output \N{LEFTWARDS ARROW} input decides." in text, "named as in the drawing"
    assert ">3.12<" in text and "0.250" in text and "1 of 1" in text and "&lt;none&gt;" in text
    other = {"label": "edge 3<-0", "before": "none", "after": "skip_connect", "measures": None}
    asked["trained"] = {"epochs": 1, "found": None, "better": None, "of": 0, "neighbours": [other]}
    (folder / "why.json").write_text(json.dumps(asked))
    text = pages.render("page.html.jinja", page.described(folder))
    assert "The training of what was found failed, after 1 epoch of training each." in text
    rows = [{"epoch": None}, {"epoch": 1}, {"epoch": 2}]
    assert [why.is_old(asked | {"epoch": epoch}, rows) for epoch in (1, 2, "2")] == [True, False, True]
    assert "Why it found this since: it has gone on" in text and f"dnas why {folder.name}" in text
    genotype = from_json(page_folders.cell())
    assert [*why.importance(asked, genotype, 3).values()] == [0.0312] and why.importance(asked, genotype, 4) == {}
    asked.pop("decisions")
    (folder / "why.json").write_text(json.dumps(asked))
    with pytest.raises(StorageError, match="why.json is damaged"):
        page.described(folder)


def test_of_a_black_box_search_that_goes_on_is_said_how_far_it_is(tmp_path):
    folder = page_folders.blackbox(tmp_path / "run", failed="out of memory")
    assert "1 evaluation failed, the first: out of memory" in blackbox.described(folder)["sentence"]
    (folder / "front.csv").unlink()
    rows = blackbox.described(folder)["rows"]
    assert rows == [], "of several objectives there is no best evaluation"
    text = (folder / "trials.csv").read_text().replace("accuracy,mflops", "score,fidelity")
    (folder / "trials.csv").write_text(text)
    assert [row["score"] for row in blackbox.described(folder)["rows"]][:2] == [72.75, 65.125], "whole ones first"
    for name in ("summary.json", "trials.csv", "genotype.json"):
        (folder / name).unlink()
    assert blackbox.described(folder)["sentence"] == "Nothing has ended yet."
    (folder / "trials.jsonl").write_text('{"run": 0, "architecture": [1]}\n{"run": 0, "values": {"accuracy": 0.5}}\n')
    assert blackbox.described(folder)["sentence"] == "The search has not ended: 1 evaluation so far."
    (folder / "summary.json").write_text("{}{")
    with pytest.raises(StorageError, match="summary.json is damaged, it is not JSON: remove it"):
        blackbox.described(folder)


def test_report_writes_the_pages_of_runs_and_comparisons(folders, capsys):
    kinds = ("training", "comparison", "blackbox")
    assert cli.main(["report", *(str(folders[kind]) for kind in kinds)]) == 0
    out = capsys.readouterr().out.replace("\n", "")
    for kind in kinds:
        assert f"{folders[kind] / 'report.html'}" in out and (folders[kind] / "report.html").is_file()
        (folders[kind] / "report.html").unlink()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0.31, 0.33, [0.31, 0.315, 0.32, 0.325, 0.33]), (-7, 40, [0, 10, 20, 30, 40])],
)
def test_ticks_are_round(low, high, expected):
    assert charts.ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[1.0, 0.999999], [0.69313, 0.69315], [2.5, 2.5], [0.0, 1e-7], [120.0, 120.0001]])
def test_marks_of_an_axis_can_be_told_apart_and_fit(values):
    drawn = charts.lines("t", [charts.Line("a", [1, 2], values, "#000000")])
    marks = re.findall(r'text-anchor="end">([^<]+)<', drawn)
    assert len(set(marks)) == len(marks) > 0 and max(map(len, marks)) <= 8


def test_a_line_is_broken_where_there_is_nothing():
    line = charts.Line("a", [1, 2, 3, 4, 5], [1.0, 2.0, float("nan"), 4.0, float("inf")], "#000000")
    drawn = charts.lines("t", [line])
    assert drawn.count("<polyline") == 2 and drawn.count("<circle") == 1, "a piece, its key, and a point alone"
    assert numbers(drawn)[0]["series"][0]["values"] == [1.0, 2.0, None, 4.0, None]


def test_long_lines_keep_their_last_point():
    line = charts._thinned(charts.Line("a", range(1000), range(1000), "#000000"))
    assert len(line.x) <= charts.MOST + 1 and line.x[0] == 0 and line.y[-1] == 999


def test_options_have_the_colours_of_their_families_or_each_its_own():
    darts = graphs.options(["none", "sep_conv_3x3", "sep_conv_5x5", "skip_connect"])
    assert darts["sep_conv_3x3"][0] == darts["sep_conv_5x5"][0] and darts["sep_conv_3x3"] != darts["sep_conv_5x5"]
    blocks = graphs.options(["mb3_e1_c8", "mb3_e3_c8", "mb3_e1_c16_s2", "skip"])
    assert blocks["mb3_e1_c8"] == blocks["mb3_e1_c16_s2"] and len(set(blocks.values())) == 3


def test_elements_are_escaped():
    drawn = svg.element("text", "a < b", class_='"x"', x=1.25, y=None)
    assert drawn == '<text class="&#34;x&#34;" x="1.2">a &lt; b</text>'
