"""The page of findings, and what `dnas look` prints: numbers are the data's, and nothing that data contain is run."""

import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from dnas import cli
from dnas.automl import page
from dnas.automl.look import examine

HOSTILE = "<img src=x onerror=alert(1)>"
SCRIPT = "</script><script>alert('2')</script>"
N = 60


class Page(HTMLParser):
    """Its elements with their attributes, and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def written(data, tmp_path, **settings) -> tuple[str, Page]:
    text = page.write(examine(data, **settings), tmp_path / "findings.html").read_text()
    return text, Page(text)


def check_harmless(parsed: Page) -> None:
    """There is one script that runs, ours, and no element or attribute that came from the data."""
    scripts = [attributes for tag, attributes in parsed.elements if tag == "script"]
    assert [one for one in scripts if one.get("type") != "application/json"] == [{}]
    for tag, attributes in parsed.elements:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith(("data:", "#")), (tag, attributes)
    policies = [attributes["content"] for tag, attributes in parsed.elements if "http-equiv" in attributes]
    assert len(policies) == 1 and policies[0].startswith("default-src 'none'; img-src data:")


def test_hostile_names_of_classes_and_files(write_images, tmp_path):
    labels = {"<img src=x onerror=alert(1)>": 15, "a\"b'c&d": 15}
    folder = write_images("<b>bold", labels)
    image = folder / HOSTILE / "0.png"
    image.rename(image.with_name("<svg onload=alert(3)>.png"))
    (folder / "a\"b'c&d" / "1.png").write_bytes((folder / "a\"b'c&d" / "2.png").read_bytes())
    text, parsed = written(folder, tmp_path)
    check_harmless(parsed)
    assert HOSTILE not in text and HOSTILE in parsed.text and "A look at <b>bold" in parsed.text
    pictures = [attributes for tag, attributes in parsed.elements if tag == "img"]
    assert len(pictures) >= 16 and all(one["src"].startswith("data:image/png;base64,") for one in pictures)


def test_hostile_columns_cells_and_texts(write_table, sentences, tmp_path):
    y = ["yes", SCRIPT] * 30
    columns = {HOSTILE: [SCRIPT, "b", "c"] * 20, "size": np.arange(N) / 7, "target": y}
    text, parsed = written(write_table("a.csv", **columns), tmp_path)
    check_harmless(parsed)
    assert SCRIPT not in text and f"{SCRIPT}: 20" in parsed.text and HOSTILE in parsed.text
    said = [f"{HOSTILE} {sentence}" for sentence in sentences]
    text, parsed = written(write_table("b.csv", text=said, label=y), tmp_path)
    check_harmless(parsed)
    assert HOSTILE not in text and parsed.text.count(HOSTILE) >= 6


def test_the_page_says_what_the_data_are(write_table, tmp_path):
    x = np.random.default_rng(0).normal(size=N).round(3)
    file = write_table("a.csv", x=["", *x[1:]], fixed=["a"] * N, y=["p"] * 20 + ["q"] * 40)
    text, parsed = written(file, tmp_path)
    words = " ".join(parsed.text.split())
    assert "60 rows of 2 classes (48 train, 12 test). Each row has 1 column to learn from." in words
    assert f"--data table:path={file},target=y,without=fixed" in words
    assert "The column 'fixed' is 'a' in all 60 rows." in words and "dnas auto: left out" in words
    assert "p: 20" in words and "q: 40" in words and "1.7 % missing" in words and "left out" in words
    counts = [int(found) for found in re.findall(r"<title>\S+ to \S+: (\d+)</title>", text)]
    assert sum(counts) == N - 1  # of the histogram


@pytest.mark.parametrize("name", ["diabetes", "wine"])
def test_data_sets_by_name_have_pages(name, tmp_path):
    text, parsed = written(name, tmp_path)
    check_harmless(parsed)
    assert f"A look at {name}" in parsed.text and text.count("<svg") >= (11 if name == "diabetes" else 14)


def test_recordings_have_pages(write_sounds, tmp_path):
    pytest.importorskip("soundfile")
    text, parsed = written(write_sounds("words", {"yes": 8000, "no": 8000}), tmp_path)
    assert text.count('aria-label="waveform"') >= 16 and "dB of full scale" in parsed.text


def test_names_that_are_no_text(write_images, tmp_path):
    folder = write_images("odd", {"a\nb": 15, "c": 15})
    for file in [*folder.rglob("*.png")]:
        file.rename(os.fsdecode(os.fsencode(file) + b"\xff.png"))
    _, parsed = written(folder, tmp_path)
    assert "\\udcff.png" in parsed.text


# --- the command


def test_look_prints_what_it_found(write_table, tmp_path, capsys):
    file = write_table(
        "a.csv", x=np.arange(N) / 7, day=["2024-01-01", "2024-02-02", "2024-03-03"] * 20, y=["[red]p", "q"] * 30
    )
    assert cli.main(["look", str(file), "--out", str(tmp_path / "a.html")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "The target is 'y', by its name." in out and "The column 'day' has 3 different dates" in out
    assert "dnas auto: left out" in out and "without=day" in out and (tmp_path / "a.html").exists()


def test_what_is_fatal_ends_with_code_2(write_images, tmp_path, capsys):
    folder = write_images("[bold]", {"[i]": 2, "b": 1})
    assert cli.main(["look", str(folder)]) == 2
    out, error = capsys.readouterr()
    assert "fatal" in out and error.startswith("dnas: 1 class has a single one of the images, as 'b'")
    assert error.count("\n") == 1 and "Traceback" not in error


def test_a_page_is_html_and_can_be_written(write_table, tmp_path, capsys):
    file = write_table("a.csv", x=np.arange(N) / 7, y=["p", "q"] * 30)
    assert cli.main(["look", str(file), "--out", "page.pdf"]) == 2
    assert "its name ends in .html, not 'page.pdf'" in capsys.readouterr().err
    assert cli.main(["look", str(file), "--out", str(tmp_path / "nowhere/page.html")]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert cli.main(["look"]) == 2 and "needs a DATA" in capsys.readouterr().err
