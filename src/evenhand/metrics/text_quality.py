"""Metrics of generated texts against references: BLEU and ROUGE-L. They read the first line of a *generated* text."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.pronouns import first_line


def bleu(generated: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU from 0 to 100 with sacrebleu's defaults (13a tokens, mixed case, exponential smoothing).

    Args:
        generated: [n] texts; only their first lines count.
        references: [n] one or several per text, such as `pronoun_readings`; their numbers may differ.

    Returns:
        nan without texts.

    Raises:
        InputError: lengths that differ, a text without references, or sacrebleu is not installed.

    Source: Papineni et al. (2002) as implemented by sacrebleu (Post 2018).

    Example:
        >>> from evenhand.metrics import bleu
        >>> round(bleu(["the cat sat on the mat"], [["the cat sat on the mat", "a cat sat there"]]), 6)
        100.0
    """
    return bleu_of(bleu_statistics(generated, references).sum(axis=0))


def bleu_paper(generated: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU from 0 to 100 of lower-cased and stripped texts and references, as Ding et al. compute it.

    A text that differs from its reference only in capital letters has 100 here and less in `bleu`. The two are not
    comparable. Args, Returns, Raises: as in `bleu`.

    Source: the released code of Ding et al. (2024).

    Example:
        >>> from evenhand.metrics import bleu, bleu_paper
        >>> generated, references = ["the cat sat on the mat"], [["The Cat sat on the mat"]]
        >>> round(bleu_paper(generated, references), 6), bleu(generated, references) < 100
        (100.0, True)
    """
    return bleu(*_lowered(generated, references))


def bleu_paper_statistics(generated: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """The counts behind `bleu_paper`, int [n, 10], to be summed for `bleu_of`; see `bleu_statistics`.

    Args, Raises: as in `bleu`.

    Source: the released code of Ding et al. (2024).

    Example:
        >>> from evenhand.metrics import bleu_paper_statistics
        >>> bleu_paper_statistics(["The cat sat down"], [["the cat sat down"]]).tolist()
        [[4, 4, 4, 3, 2, 1, 4, 3, 2, 1]]
    """
    return bleu_statistics(*_lowered(generated, references))


def bleu_statistics(generated: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """The counts behind BLEU, int [n, 10]: length, the closest reference's length, correct n-grams, all n-grams.

    There are 4 counts of correct n-grams and 4 of all n-grams, for n from 1 to 4.

    They add up over texts, so BLEU without some texts, or of a bootstrap sample, is `bleu_of` of other sums.
    Args, Raises: as in `bleu`.

    Source: sacrebleu (Post 2018).

    Example:
        >>> from evenhand.metrics import bleu_statistics
        >>> bleu_statistics(["the cat sat down"], [["the cat sat down"]]).tolist()
        [[4, 4, 4, 3, 2, 1, 4, 3, 2, 1]]
    """
    _installed("sacrebleu")
    from sacrebleu.metrics.bleu import BLEU

    _referenced(generated, references)
    metric = BLEU(effective_order=True, force=True)
    found = np.zeros((len(generated), 10), dtype=np.int64)
    for row, (text, given) in enumerate(zip(generated, references, strict=True)):
        score = metric.sentence_score(first_line(text), list(given))
        found[row] = [score.sys_len, score.ref_len, *score.counts, *score.totals]
    return found


def bleu_of(statistics: np.ndarray) -> float:
    """BLEU of summed `bleu_statistics`, int [10]; nan without references.

    Args:
        statistics: int [10], a sum of rows of `bleu_statistics`.

    Raises:
        InputError: sacrebleu is not installed.

    Source: sacrebleu (Post 2018).

    Example:
        >>> from evenhand.metrics import bleu_of
        >>> round(bleu_of([4, 4, 4, 3, 2, 1, 4, 3, 2, 1]), 6)
        100.0
    """
    _installed("sacrebleu")
    from sacrebleu.metrics.bleu import BLEU

    length, reference, *counts = (int(count) for count in statistics)
    if reference == 0:
        return float("nan")
    return float(BLEU.compute_bleu(counts[:4], counts[4:], length, reference, smooth_method="exp").score)


def rouge_l(generated: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """ROUGE-L F-measure per text, float [n] from 0 to 1: the best over its references.

    Words are lower-cased and not stemmed; a text without words has 0. Args, Raises: as in `bleu`.

    Source: Lin (2004) as implemented by rouge-score.

    Example:
        >>> from evenhand.metrics import rouge_l
        >>> rouge_l(["the cat"], [["the cat sat", "a dog"]]).round(6).tolist()  # precision 1, recall 2/3
        [0.8]
    """
    _installed("rouge_score")
    from rouge_score.rouge_scorer import RougeScorer

    _referenced(generated, references)
    scorer = RougeScorer(["rougeL"])
    scores = (
        scorer.score_multi(list(given), first_line(text))["rougeL"].fmeasure
        for text, given in zip(generated, references, strict=True)
    )
    return np.fromiter(scores, dtype=float, count=len(generated))


def _lowered(
    generated: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return the first lines of the texts, and the references, in lower case and without space around them."""
    _referenced(generated, references)
    return (
        [first_line(text).lower().strip() for text in generated],
        [[reference.lower().strip() for reference in given] for given in references],
    )


def _installed(library: str) -> None:
    if find_spec(library) is None:
        raise InputError(f"BLEU and ROUGE-L need {library}; try: pip install 'evenhand[generation]'")


def same_length(one: str, first: Sequence, other: str, second: Sequence) -> None:
    if len(first) != len(second):
        raise InputError(f"{one} has {len(first)} entries and {other} {len(second)}; they need one per text")


def _referenced(generated: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    same_length("generated", generated, "references", references)
    for row, given in enumerate(references):
        if isinstance(given, str) or not len(given):
            raise InputError(f"references needs a list of one or more texts per generated text; row {row} has none")
