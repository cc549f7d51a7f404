"""Scripts end with one sentence, as the command line does, where a user is mistaken."""

import ast
from pathlib import Path

import pytest

from dnas.errors import UserError, run_script

SCRIPTS = [path for path in sorted(Path(__file__).parents[2].glob("scripts/*.py")) if "\ndef main(" in path.read_text()]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_is_run_so(path):
    *_, last = ast.parse(path.read_text()).body
    assert isinstance(last, ast.If) and ast.unparse(last.test) == "__name__ == '__main__'"
    assert ast.unparse(last.body[-1]) == "run_script(main)"


@pytest.mark.parametrize(
    "error, code, says",
    [
        (UserError("There is no run."), 2, "mine: There is no run.\n"),
        (FileNotFoundError(2, "No such file or directory", "a.json"), 2, "Cannot use a.json: No such file"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_mistakes_are_one_sentence(error, code, says, monkeypatch, capsys):
    def main():
        raise error

    monkeypatch.setattr("sys.argv", ["scripts/mine.py"])
    with pytest.raises(SystemExit) as ended:
        run_script(main)
    said = capsys.readouterr().err
    assert ended.value.code == code and says in said and said.count("\n") == 1


def test_defects_and_codes_are_kept():
    with pytest.raises(KeyError):
        run_script(lambda: {}["none"])
    with pytest.raises(SystemExit) as ended:
        run_script(lambda: 1)
    assert ended.value.code == 1
