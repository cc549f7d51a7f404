"""Folders of files with a folder per class: which are parts, which classes, and which are of the system.

`path/train/<class>/*` or `path/<class>/*`, beside it other parts. `of`: what class folders hold, for sentences.
"""

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from dnas.data._files import reading
from dnas.errors import UserError

TRAIN, TEST, VALID, NO_CLASS = "train", "test", "validation", "no class"
ROLES = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("test", "tests", "testing", "holdout", "heldout"), TEST),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "eval", "evaluation"), VALID),
    **dict.fromkeys(("unlabelled", "unlabeled", "nolabel", "nolabels", "sample", "samples", "submission"), NO_CLASS),
    **dict.fromkeys(("predict", "prediction", "predictions", "pred", "preds", "inference"), NO_CLASS),
}
OF_ANY = (  # words that say nothing of a folder of data
    *("images", "image", "imgs", "img", "pictures", "pics", "photos", "files"),
    *("folder", "dataset", "data", "set", "split"),
)
SYSTEM_PREFIXES = ("__", "@", "$", "#")  # __MACOSX, @eaDir, $RECYCLE.BIN, #recycle
SYSTEM = ("lost+found", "system volume information", "recycler", "cvs")


def folder_role(name: str) -> str | None:
    """What a folder beside class folders is by its name: TRAIN, TEST, VALID or NO_CLASS; None for a class.

    Case, numbers, blanks and signs do not count, nor words that any folder of data may have in its name: `Test Set`,
    `testset`, `images_test` and `test_1` are `test`. All the words must say it: `test tube` is a class.
    """
    words = re.findall(r"[^\W\d_]+", name.casefold())
    ends = "|".join(OF_ANY)
    words = [word for word in (re.sub(rf"(?:{ends})+$", "", word) for word in words) if word]
    roles = {ROLES.get(word) for word in words}
    if NO_CLASS in roles and None not in roles:  # as in `unlabelled test images`
        return NO_CLASS
    return ROLES.get("".join(words))


def is_of_system(name: str) -> bool:
    """Whether an operating system or a file server makes folders of this name by itself."""
    return name.casefold() in SYSTEM or any(re.match(re.escape(sign) + r"[^\W\d]", name) for sign in SYSTEM_PREFIXES)


def entries(folder: Path, of: str) -> list[Path]:
    """All that is in a folder, by name. Errors: `UserError` where it cannot be read."""
    with reading(folder, f"give a folder that has one folder of {of} per class"):
        return sorted(folder.iterdir())


def visible(folder: Path, of: str) -> list[Path]:
    """The same without what is hidden."""
    return [entry for entry in entries(folder, of) if not entry.name.startswith(".")]


def folders(folder: Path, of: str) -> list[Path]:
    """The folders in it that may be parts or classes."""
    return [entry for entry in visible(folder, of) if os.path.isdir(entry) and not is_of_system(entry.name)]


def passed_over(folder: Path, of: str) -> list[tuple[Path, str]]:
    """The other folders in it, and why they are none."""
    why = {
        entry: "hidden" if entry.name.startswith(".") else "a folder of the system" if is_of_system(entry.name) else ""
        for entry in entries(folder, of)
    }
    return [(entry, reason) for entry, reason in why.items() if reason and os.path.isdir(entry)]


def parts_with_classes(root: Path, of: str) -> dict[str, Path]:
    """The folders of parts that have class folders, by TRAIN, VALID and TEST. Errors: `UserError` for two of one."""
    inside = [folder for folder in folders(root, of) if folders(folder, of)]
    by_role = {role: only(root, [f for f in inside if folder_role(f.name) == role]) for role in (TRAIN, VALID, TEST)}
    return {role: folder for role, folder in by_role.items() if folder is not None}


def no_classes(root: Path, of: str) -> dict[Path, str]:
    """The folders beside those of classes, where no folder of a part has these, that are none by their names, and
    why."""
    found = dict[Path, str]()
    for folder in [] if TRAIN in parts_with_classes(root, of) else folders(root, of):
        role = folder_role(folder.name)
        if role == NO_CLASS:
            found[folder] = "by its name it is no class"
        elif role in (TEST, VALID) and not folders(folder, of):
            found[folder] = "it has no class folders"
    return found


def only(root: Path, parts: Sequence[Path]) -> Path | None:
    """The one folder of a role. Errors: `UserError` if there are several."""
    if len(parts) > 1:
        both = " and ".join(f"'{part.name}'" for part in parts[:2])
        raise UserError(f"{root} has both {both}, where one folder is expected: rename or remove the other.")
    return parts[0] if parts else None


def check_classes(root: Path, classes: Sequence[object], but: str = "") -> None:
    """but: what was left out. Errors: `UserError` for fewer than two."""
    if len(classes) < 2:
        raise UserError(f"{root} has {len(classes)} class folder(s){but}: at least 2 are needed, one per class.")


def files_of_class(folder: Path, suffixes: Collection[str], of: str, one: str) -> list[Path]:
    """The files of a class. one: what it should have, and how that is named. Errors: `UserError` where it has none."""
    files = [entry for entry in visible(folder, of) if entry.suffix.lower() in suffixes]
    if not files:
        raise UserError(f"{folder} has no {one}: fill the folder or remove it.")
    return files
