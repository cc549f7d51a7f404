"""BLEU and chrF of translations, by the library `sacrebleu`.

Papineni, Roukos, Ward and Zhu 2002, "BLEU", ACL; Popović 2015, "chrF", WMT; Post 2018, "A Call for Clarity in Reporting
BLEU Scores", WMT, arXiv:1804.08771, which is why each comes with a signature.
"""

from collections.abc import Sequence


def scores_of(
    texts: Sequence[str], references: Sequence[str], *, tokenised: bool, lower: bool
) -> tuple[dict[str, float], dict[str, str]]:
    """{"bleu", "chrf"}, in percent, of texts against a reference each, and the signature of both.

    tokenised: whether texts are tokens between blanks, which BLEU counts as they are; else it cuts them as `13a` does.
    lower: whether letters are made small first.
    """
    from sacrebleu.metrics import BLEU, CHRF

    made = {
        "bleu": BLEU(tokenize="none" if tokenised else "13a", lowercase=lower, force=True),
        "chrf": CHRF(lowercase=lower),
    }
    scores = {name: float(one.corpus_score(list(texts), [list(references)]).score) for name, one in made.items()}
    return scores, {name: str(one.get_signature()) for name, one in made.items()}
