"""Texts with a class each as checks see them."""

import numpy as np

from dnas.automl.checks.protocol import Evidence, Texts
from dnas.automl.gather._files import digests
from dnas.data._sentences import PARTS, Sentences


def of_sentences(data: Sentences) -> Evidence:
    """The evidence of a data set of texts; its parts are in the order of `PARTS`."""
    parts = [getattr(data, part) for part in PARTS]
    texts = [text for part in parts for text in part.texts]
    lengths = [len(text.split()) for text in texts]
    return Evidence(
        name=data.name,
        task=data.task,
        what="texts",
        parts=np.repeat(np.arange(len(parts)), [len(part.texts) for part in parts]),
        y=np.concatenate([part.y for part in parts]).astype(float),
        classes=data.classes,
        digests=digests([text.encode(errors="surrogatepass") for text in texts]),
        places=[place for part in parts for place in part.places],
        content=Texts(texts),
        sizes={"words": int(np.median(lengths)), "longest": max(lengths)},
        notes=(data.note,),
    )
