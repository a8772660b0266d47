"""Endings, each held against the true ending of its context."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from textgan.data.segmentation import Cutter
from textgan.data.stories import Story, StoryBatch, StoryCorpus
from textgan.data.story_preparation import Check
from textgan.data.tokenizer import MARKS, UNK
from textgan.errors import UserError
from textgan.evaluation.config import EvaluationConfig, Scores, plain
from textgan.game import Game
from textgan.inference import samples_of, values_of
from textgan.metrics import Score, ending_scores, nll_per_token, novelty, signature, text_scores
from textgan.trainer import Measurement

ROWS = 256
"""Contexts whose endings are written or scored at once: bounds memory."""

WATCHED_STORIES = 2000
"""Held-out stories whose likelihood is measured during training; at the end of a stage it is that of all."""

OF_PAIRS = ("corpus-bleu", "rouge", "meteor")
"""Metrics that hold an ending against the true one."""

TOKENS = "word.lower"
UNKNOWN = "\ufffd"
_CUTTER = Cutter("word", lower=True)


@runtime_checkable
class WritesEndings(Protocol):
    """A game of story endings."""

    def sample(self, n: int, context: Tensor, temperature: float = 1.0) -> Tensor: ...
    def log_probs(self, context: Tensor, tokens: Tensor, temperature: float = 1.0) -> Tensor: ...


class StoryEvaluation:
    """Measures games of story endings against the held-out splits of a corpus, one ending a context."""

    def __init__(self, corpus: StoryCorpus, config: EvaluationConfig) -> None:
        if config.encoder is not None:
            raise UserError(f"evaluation.encoder is {config.encoder!r}; it must be None for story endings")
        self._corpus, self._config = corpus, config
        self._train = training_endings(corpus)
        self._batches: dict[tuple[str, int], StoryBatch] = {}
        self._last: tuple[Tensor, Scores, list[dict[str, Any]]] | None = None

    def controls(self) -> dict[str, Scores]:
        """The human endings, the context's last sentence copied, and a human ending of another story."""
        stories = self._corpus.test.stories(self._config.final_samples)
        order = torch.randperm(len(stories), generator=torch.Generator().manual_seed(0))
        other = torch.empty_like(order)
        other[order] = order.roll(1)  # one circle, so that no story has its own
        rows = {
            "real": [story.ending for story in stories],
            "copied last sentence": [story.sentences[-1] for story in stories],
            "random ending": [stories[i].ending for i in other.tolist()],
        }
        found = {name: self.ending_scores(texts, "test") for name, texts in rows.items()}
        for metric in [metric for metric in found["real"] if metric.startswith(OF_PAIRS)]:
            del found["real"][metric]  # the human endings are the references: they would be held against themselves
        return found

    def watched(self) -> dict[str, float]:
        """What human endings score at the size of the samples drawn during training: the collapse watch's scale."""
        stories = self._corpus.valid.stories(self._config.samples)
        return {name: score.value for name, score in text_scores([words(story.ending) for story in stories]).items()}

    def measure(self, game: Game, ends_stage: bool) -> Measurement:
        """The validation scores of a sample; at the end of a stage the test scores and the tempered sweep too.

        Where the sample (its seed is fixed) comes out as the one before, the generator has not moved since, as while
        a discriminator trains alone, and what was measured then still holds.
        """
        assert isinstance(game, WritesEndings)
        drawn = self.draw(game, "valid", self._config.samples)
        if self._last is None or not torch.equal(drawn, self._last[0]):
            scores = self.ending_scores(self.texts(drawn), "valid") | self._likelihood(game, "valid", WATCHED_STORIES)
            self._last = drawn, scores, []
        _, scores, sweep = self._last
        stories = self._corpus.valid.stories(len(drawn))
        records: list[dict[str, Any]] = [
            {"kind": "metrics", "scores": plain(scores)},
            {"kind": "samples", "sentences": list(map(_shown, stories, self.texts(drawn)))},
        ]
        if ends_stage:
            if not sweep:
                sweep += self._sweep(game)
            records += sweep
        return Measurement({name: score.value for name, score in scores.items()}, records)

    def test_scores(self, game: Game, temperature: float = 1.0, samples: int | None = None) -> Scores:
        """Everything there is, of an ending drawn at `temperature` for each of the test split's first contexts."""
        assert isinstance(game, WritesEndings)
        drawn = self.draw(game, "test", samples or self._config.final_samples, temperature)
        scores = self.ending_scores(self.texts(drawn), "test")
        scores |= self._likelihood(game, "test", self._config.references, temperature)
        return {name: score.stamped(temperature=temperature) for name, score in scores.items()}

    def draw(self, game: Game, split: str, n: int, temperature: float = 1.0) -> Tensor:
        """``(n, T)``: an ending for each of the first `n` contexts of the split (fewer, where it has fewer)."""
        contexts = self._stories(split, n).context
        return samples_of(game, len(contexts), contexts, rows=ROWS, temperature=temperature)

    def ending_scores(self, endings: Sequence[str], split: str) -> Scores:
        """One system's endings of the first stories of the split, held against the human ones."""
        stories = getattr(self._corpus, split).stories(len(endings))
        return endings_of_stories(endings, stories, self._train, self._corpus.check)

    def texts(self, tokens: Tensor) -> list[str]:
        """Endings ``(n, T)`` as people write them."""
        return [self._corpus.tokenizer.detokenize(ids) for ids in tokens.tolist()]

    def _likelihood(self, game: WritesEndings, split: str, limit: int, temperature: float = 1.0) -> Scores:
        batch = self._stories(split, limit)
        found = values_of(game.log_probs, batch.context, batch.ending, rows=ROWS, temperature=temperature)
        name = f"nll-{split}"
        return {name: nll_per_token(found, batch.ending != self._corpus.spec.pad, name)}

    def _sweep(self, game: Game) -> list[dict[str, Any]]:
        swept = {t: plain(self.test_scores(game, t)) for t in sorted({1.0, *self._config.temperatures})}
        return [
            {"kind": "test", "scores": swept[1.0]},
            *({"kind": "sweep", "temperature": t, "scores": swept[t]} for t in self._config.temperatures),
        ]

    def _stories(self, split: str, n: int) -> StoryBatch:
        if (split, n) not in self._batches:
            self._batches[split, n] = getattr(self._corpus, split).batch(n)
        return self._batches[split, n]


def endings_of_stories(
    endings: Sequence[str],
    stories: Sequence[Story],
    train: AbstractSet[tuple[str, ...]],
    check: Check | None = None,
    groups: Sequence[Sequence[str]] | None = None,
) -> Scores:
    """All there is for one system's endings, one a story, held against the human ones.

    Args:
        train: the `training_endings`: what is not among them is new.
        check: decides by program whether an ending follows from its context.
        groups: several endings of each story.
    """
    ours = [words(ending) for ending in endings]
    sets = None if groups is None else [[words(ending) for ending in group] for group in groups]
    references = [words(story.ending) for story in stories]
    scores = ending_scores(ours, references, novelty(ours, train, TOKENS), sets, TOKENS)
    scores |= text_scores(ours, tokenizer=TOKENS)
    if check is not None:
        held = [check(story.sentences, ending).consistent for story, ending in zip(stories, endings, strict=True)]
        scores["consistency"] = Score(sum(held) / len(held), signature("consistency", samples=len(held)))
    return scores


def training_endings(corpus: StoryCorpus) -> frozenset[tuple[str, ...]]:
    """The endings that were learned from, by their words."""
    return frozenset(tuple(words(story.ending)) for story in corpus.train.stories())


def words(text: str) -> list[str]:
    """The words that endings are compared by, whatever a generator's tokens are: lower-case, punctuation apart.

    The mark of an unknown word is one word, which no text of people has.
    """
    return _CUTTER.words(text.replace(MARKS[UNK], UNKNOWN))


def _shown(story: Story, ending: str) -> str:
    """On one line, whatever lines prompts and answers have."""
    return " ".join(f"{' '.join(story.sentences)} >>> {ending}".splitlines())
