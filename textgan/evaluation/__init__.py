"""Which metrics for which data: the one place where that is chosen. No game names a metric.

What is measured follows from what a game is held against: sentences against held-out sentences, sentences of
categories against what a classifier takes them for as well, endings against the true ending of their context, images
against held-out images through the eyes of a classifier.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from textgan.data.corpus import TextCorpus
from textgan.data.images.captions import CaptionedCorpus
from textgan.data.images.corpus import ImageCorpus
from textgan.data.images.domains import UnpairedCorpus
from textgan.data.images.glyphs import AlphabetSpec, GlyphCorpus
from textgan.data.images.pairs import PairCorpus
from textgan.data.labelled import LabelledCorpus
from textgan.data.oracle import OracleCorpus
from textgan.data.series import SeriesCorpus
from textgan.data.stories import StoryCorpus
from textgan.evaluation.captioned import CaptionedEvaluation
from textgan.evaluation.config import EvaluationConfig, Scores
from textgan.evaluation.glyphs import AlphabetEvaluation, GlyphEvaluation
from textgan.evaluation.images import ImageEvaluation
from textgan.evaluation.labelled import LabelledEvaluation
from textgan.evaluation.pairs import PairEvaluation
from textgan.evaluation.series import SeriesEvaluation
from textgan.evaluation.stories import StoryEvaluation
from textgan.evaluation.text import TextEvaluation
from textgan.evaluation.unpaired import UnpairedEvaluation
from textgan.game import Game
from textgan.trainer import Measurement

__all__ = ["Corpus", "Evaluation", "EvaluationConfig", "Scores", "evaluation_of"]

Corpus = (
    TextCorpus
    | LabelledCorpus
    | OracleCorpus
    | StoryCorpus
    | ImageCorpus
    | PairCorpus
    | UnpairedCorpus
    | CaptionedCorpus
    | GlyphCorpus
    | SeriesCorpus
)


@runtime_checkable
class Evaluation(Protocol):
    """Measures games against the held-out splits of a corpus."""

    def controls(self) -> dict[str, Scores]:
        """Scores that frame every table: real data, and what takes no learning."""

    def watched(self) -> dict[str, float]:
        """What real data scores at the size of the samples drawn during training: the collapse watch's scale."""

    def measure(self, game: Game, ends_stage: bool) -> Measurement:
        """The validation scores of a sample; at the end of a stage the test scores and the tempered sweep too."""

    def test_scores(self, game: Game, temperature: float = 1.0, samples: int | None = None) -> Scores:
        """Everything there is, of a sample drawn at `temperature`, against the test split."""


def evaluation_of(corpus: Corpus, config: Any) -> Evaluation:
    """How games are measured on this corpus."""
    if isinstance(corpus, UnpairedCorpus):
        return UnpairedEvaluation(corpus, config)
    if isinstance(corpus, CaptionedCorpus):
        return CaptionedEvaluation(corpus, config)
    if isinstance(corpus, GlyphCorpus):
        of_fonts = isinstance(corpus.spec, AlphabetSpec)
        return AlphabetEvaluation(corpus, config) if of_fonts else GlyphEvaluation(corpus, config)
    if isinstance(corpus, SeriesCorpus):
        return SeriesEvaluation(corpus, config)
    if isinstance(corpus, PairCorpus):
        return PairEvaluation(corpus, config)
    if isinstance(corpus, ImageCorpus):
        return ImageEvaluation(corpus, config)
    if isinstance(corpus, StoryCorpus):
        return StoryEvaluation(corpus, config)
    if isinstance(corpus, LabelledCorpus):
        return LabelledEvaluation(corpus, config)
    return TextEvaluation(corpus, config)
