"""What operations are called in pictures, and the colours of all pictures."""

from typing import Any

FAMILIES = {  # family: colour (Okabe and Ito, safe for the colour-blind), how its operations' names begin
    "separable convolution": ("#0072B2", ("sep_conv",)),
    "dilated convolution": ("#CC79A7", ("dil_conv",)),
    "convolution": ("#D55E00", ("nor_conv", "conv")),
    "pooling": ("#009E73", ("max_pool", "avg_pool")),
    "skip": ("#E69F00", ("skip", "identity")),
    "activation": ("#0072B2", ("tanh", "relu", "sigmoid")),
    "none": ("#9A9A9A", ("none",)),
    "other": ("#6F4E9C", ("",)),
}
BLOCKS = {"mb": "#0072B2", "conv": "#D55E00", "shuffle": "#CC79A7", "xception": "#6F4E9C", "skip": "#E69F00"}
INK, GREY, PALE = "#24292F", "#8A8F98", "#EEF1F5"
CENTER: dict[str, Any] = {"ha": "center", "va": "center"}


def label(operation: str) -> str:
    """A short readable name: `sep_conv_3x3` -> "sep 3x3", `max_pool_3x3` -> "max pool 3x3"."""
    words = operation.replace("nor_conv", "conv").replace("skip_connect", "skip").split("_")
    return " ".join(word for word in words if word != "conv" or words[0] == "conv")


def tint(colour: str) -> tuple[float, ...]:
    """A pale form of a colour, for faces."""
    return tuple(0.86 + 0.14 * int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def family(operation: str) -> str:
    """The family of an operation, which gives its colour."""
    return next(name for name, (_, starts) in FAMILIES.items() if operation.startswith(starts))
