"""What a look says of data in a sentence."""

from typing import TYPE_CHECKING

from dnas.automl.checks._groups import counted

if TYPE_CHECKING:
    from dnas.automl.look import Look

WHAT = {"images": "images", "tabular": "rows", "text_classification": "texts", "audio_classification": "recordings"}


def summary(found: "Look") -> str:
    """How many there are of what, in which parts."""
    counts = {part: found.sizes[part] for part in ("train", "valid", "test") if found.sizes.get(part)}
    parts = ", ".join(f"{count:,} {part}" for part, count in counts.items())
    kinds = f"of {counted(len(found.classes), 'class', 'classes')}" if found.classes else "with a number to predict"
    return f"{sum(counts.values()):,} {WHAT[found.task]} {kinds} ({parts})."


def size_of(found: "Look") -> str:
    """How large an example is."""
    sizes = found.sizes
    match found.task:
        case "images":
            colour = "grey" if sizes["channels"] == 1 else "colour"
            return f"Images are read as {sizes['width']}x{sizes['height']} pixels in {colour}."
        case "tabular":
            return f"Each row has {counted(sizes['columns'], 'column')} to learn from."
        case "text_classification":
            return f"Half of the texts have up to {sizes['words']:,} words, the longest has {sizes['longest']:,}."
    longest = sizes["samples"] / sizes["sample_rate"]
    return f"Recordings are heard at {sizes['sample_rate']:,} Hz; the longest has {longest:.2f} s."
