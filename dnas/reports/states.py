"""What a folder holds and whether anybody works in it: a run, a comparison, a study of hyperparameters, a search by
what sees scores only."""

from pathlib import Path

from dnas import paths

RUNNING, FINISHED, STOPPED = "running", "finished", "stopped"
KINDS = {
    "comparison.json": "comparison",
    "tune.json": "study",
    "blackbox.json": "blackbox",
}  # what is no run, by a file of its own


def kind_of(folder: Path) -> str:
    """ "run", "comparison", "study", "blackbox", "page" for anything else with a page, or empty."""
    if (folder / "config.json").is_file():
        return "run"
    found = next((kind for name, kind in KINDS.items() if (folder / name).is_file()), "")
    return found or ("page" if (folder / "report.html").is_file() else "")


def state_of(folder: Path) -> str:
    """Running while a process holds the folder; finished where its results lie there; else it was stopped, or failed,
    and can go on."""
    if paths.held(folder):
        return RUNNING
    match kind_of(folder):
        case "run":
            return FINISHED if any(folder.glob("cells*.png")) else STOPPED  # drawn last of all
        case "comparison":
            return FINISHED if (folder / "comparison.csv").is_file() else STOPPED
        case "blackbox":
            return FINISHED if (folder / "summary.json").is_file() else STOPPED
        case "study":
            return FINISHED if (folder / "report.html").is_file() else STOPPED
    return FINISHED
