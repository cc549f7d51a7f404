"""What is served: pages of what lies below the folder, and nothing else, whatever the address."""

import http.client
import json
import threading

import page_folders
import pytest

from dnas import cli, paths
from dnas.errors import UserError
from dnas.reports import listing, serve, states


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with runs, beside a file and a run that are not to be seen; gives a function that asks."""
    top = tmp_path_factory.mktemp("top")
    page_folders.search(top / "runs" / "one")
    page_folders.training(top / "runs" / "<i>&'" / "deep")
    page_folders.comparison(top / "runs" / "compared")
    page_folders.blackbox(top / "runs" / "evolved")
    page_folders.training(top / "other")
    (top / "runs" / "empty").mkdir()
    (top / "secret.txt").write_text("a secret")
    (top / "runs" / "secret.txt").write_text("a secret")
    (top / "runs" / "link").symlink_to(top / "other")
    (top / "runs" / "study").mkdir()
    (top / "runs" / "study" / "tune.json").write_text("{}")
    (top / "runs" / "study" / "report.html").symlink_to(top / "secret.txt")
    with serve.server(top / "runs", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def ask(path, host=f"localhost:{server.server_port}", method="GET"):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
            connection.putrequest(method, path, skip_host=True)
            connection.putheader("Host", host)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())

        yield ask
        server.shutdown()


def test_a_black_box_search_is_listed_and_served(site):
    status, text, _ = site("/")
    assert status == 200 and "black-box search: nsga2 on table, 3evaluations" in text
    status, text, _ = site("/run/evolved/")
    assert status == 200 and "nsga2 searched by accuracy+mflops" in text and "72.75" in text


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/run/../secret.txt",
        "/run/../other/",
        "/run/%2e%2e/other/",
        "/run/..%2fother/",
        "/run/one/../../other/",
        "/run/one/..%5c..%5cother",
        "/run//etc/",
        "/run/%2fetc%2fpasswd",
        "/run/secret.txt",
        "/run/one/config.json",
        "/run/one/genotypes/",
        "/run/link/",
        "/run/study/",
        "/state/../other",
        "/run/one%00/",
        "/run/empty/",
        "/run/",
        "/favicon.ico",
        "//other/",
    ],
)
def test_nothing_else_is_served(site, path):
    status, text, _ = site(path)
    assert status == 404 and "secret" not in text and "other" not in text


def test_pages_are_served_with_the_rule_that_forbids_foreign_scripts(site):
    for path, words in {"/": "3 minutes", "/run/one/": "The mix over time", "/run/compared/": "is best of 3"}.items():
        status, text, headers = site(path)
        assert status == 200 and (words in text or path == "/")
        assert "default-src 'none'" in headers["Content-Security-Policy"] and headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert site("/run/one/", method="HEAD")[:2] == (200, "")


def test_names_of_folders_are_text_in_the_list(site):
    _, text, _ = site("/")
    assert "&lt;i&gt;&amp;&#39;/deep" in text and "<i>" not in text
    assert site("/run/%3Ci%3E%26%27/deep/")[0] == 200 and 'href="/run/%3Ci%3E%26%27/deep/"' in text


def test_only_this_machine_may_ask_by_its_own_name(site):
    assert site("/", host="evil.example:80")[0] == 403
    assert site("/", host="127.0.0.1")[0] == 200


def test_the_state_of_a_run_is_that_of_its_lock_and_its_results(tmp_path):
    run = page_folders.search(tmp_path / "runs" / "run", epochs=1)
    assert states.state_of(run) == "finished"
    (run / "cells_seed_3.png").unlink()
    assert states.state_of(run) == "stopped"
    before = listing.signature(listing.found(tmp_path / "runs"))
    with paths.locked(run, "a search"):
        assert paths.held(run) and states.state_of(run) == "running"
        assert listing.signature(listing.found(tmp_path / "runs")) != before
    assert not paths.held(run) and not paths.held(tmp_path)


def test_a_damaged_run_does_not_hide_the_others(tmp_path):
    for name in ("good", "bad"):
        page_folders.training(tmp_path / name)
    (tmp_path / "bad" / "config.json").write_text("{")
    texts = {entry.name: listing.shown(entry)["text"] for entry in listing.found(tmp_path)}
    assert "damaged" in texts["bad"] and "training" in texts["good"]
    status, _, text = serve.Site(tmp_path).answer("/run/bad/")
    assert status == 200 and "config.json" in text and "damaged" in text


def test_a_list_says_how_far_a_run_is(tmp_path):
    page_folders.search(tmp_path / "run", epochs=3)
    (shown,) = map(listing.shown, listing.found(tmp_path))
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    best = [100 * max(row["valid_accuracy"] for row in rows if row["seed"] == seed) for seed in (3, 4)]
    assert shown["progress"] == (3, 50) and shown["text"] == "search: darts on digits, space nasbench201"
    assert shown["numbers"]["valid accuracy [%]"].startswith(f"{sum(best) / 2:.2f}")


def test_mistakes_at_the_command_are_one_sentence(tmp_path, capsys):
    assert cli.main(["report", "--serve", str(tmp_path / "none")]) == 2
    assert cli.main(["report", "--serve", str(tmp_path), "--port", "70000"]) == 2
    assert cli.main(["report", "--serve", str(tmp_path), str(tmp_path)]) == 2
    sentences = capsys.readouterr().err.splitlines()
    assert len(sentences) == 3 and "There is no folder" in sentences[0] and "port" in sentences[1]
    with serve.server(tmp_path, 0) as server, pytest.raises(UserError, match="choose another --port"):
        serve.server(tmp_path, server.server_port)
