"""BLEU and chrF of translations, by the library `sacrebleu`.

Papineni, Roukos, Ward and Zhu 2002, "BLEU", ACL; Popović 2015, "chrF", WMT; Post 2018, "A Call for Clarity in Reporting
BLEU Scores", WMT, arXiv:1804.08771, which is why each comes with a signature.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Compared(NamedTuple):
    """A text, its reference, what was written for it, and how alike these two are: chrF and BLEU of this one alone, in
    percent."""

    text: str
    reference: str
    written: str
    chrf: float
    bleu: float


def scores_of(
    texts: Sequence[str], references: Sequence[str], *, tokenised: bool, lower: bool
) -> tuple[dict[str, float], dict[str, str]]:
    """{"bleu", "chrf"}, in percent, of texts against a reference each, and the signature of both.

    tokenised: whether texts are tokens between blanks, which BLEU counts as they are; else it cuts them as `13a` does.
    lower: whether letters are made small first.
    """
    made = _measures(tokenised, lower)
    scores = {name: float(one.corpus_score(list(texts), [list(references)]).score) for name, one in made.items()}
    return scores, {name: str(one.get_signature()) for name, one in made.items()}


def compared(
    sources: Sequence[str], references: Sequence[str], texts: Sequence[str], *, tokenised: bool, lower: bool
) -> list[Compared]:
    """Every source with its reference and the text that was written for it. tokenised, lower: as of `scores_of`."""
    made, found = _measures(tokenised, lower, effective_order=True), list[Compared]()
    for source, reference, text in zip(sources, references, texts, strict=True):
        scores = {name: float(one.sentence_score(text, [reference]).score) for name, one in made.items()}
        found.append(Compared(source, reference, text, **scores))
    return found


def _measures(tokenised: bool, lower: bool, **more: Any) -> dict[str, Any]:
    """more: of BLEU; with `effective_order` that of a short text does not count what it is too short for."""
    from sacrebleu.metrics import BLEU, CHRF

    tokenize = "none" if tokenised else "13a"
    return {"bleu": BLEU(tokenize=tokenize, lowercase=lower, force=True, **more), "chrf": CHRF(lowercase=lower)}
