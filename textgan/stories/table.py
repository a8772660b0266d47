"""The table of story endings: systems in rows, each held against what takes no learning, and the cloze test.

Rows that every table has: the human endings, the context's last sentence copied, the ending of another training story.
A model is there as the endings that it writes greedily, by beam search, as drawn, and, where it has a discriminator, as
the best of several drawn by its score.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from textgan.data.cache import cached
from textgan.data.stories import Cloze, Story, StoryCorpus, encode_contexts, encode_endings
from textgan.evaluation.config import Scores
from textgan.evaluation.stories import OF_PAIRS, endings_of_stories, training_endings
from textgan.metrics import Score, signature
from textgan.stories.ender import StoryEnder
from textgan.stories.judge import StoryJudge, ending_only_naive_bayes, pair_accuracy, train_judge
from textgan.stories.protocol import Protocol

JUDGE_FORMAT = 1
"""Raised whenever a judge of the same stories may come out otherwise."""


@dataclass(frozen=True)
class System:
    """One row: an ending for every story, perhaps several."""

    name: str
    endings: list[str]
    groups: list[list[str]] | None = field(default=None, repr=False)


def controls(stories: Sequence[Story], training: Sequence[Story], seed: int = 0) -> list[System]:
    """What takes no learning."""
    draw = random.Random(seed)
    return [
        System("human", [story.ending for story in stories]),
        System("copied 4th sentence", [story.sentences[-1] for story in stories]),
        System("random ending", [draw.choice(training).ending for _ in stories]),
    ]


def systems(name: str, ender: StoryEnder, stories: Sequence[Story], protocol: Protocol) -> Iterator[System]:
    """The rows of one model."""
    contexts = [story.sentences for story in stories]
    common: dict[str, Any] = {"seed": protocol.seed, "batch_size": protocol.batch_size}

    def texts(**options: Any) -> list[str]:
        return list(map(str, ender.generate(contexts, **options, **common)))

    yield System(f"{name}, greedy", texts())
    beams: dict[str, Any] = {"num_beams": protocol.num_beams, "length_penalty": protocol.length_penalty}
    yield System(f"{name}, beam {protocol.num_beams}, length penalty {protocol.length_penalty:g}", texts(**beams))
    for temperature in protocol.temperatures:
        yield System(f"{name}, T {temperature:g}", texts(do_sample=True, temperature=temperature))
    nucleus: dict[str, Any] = {"top_p": protocol.top_p, "temperature": protocol.nucleus_temperature}
    drawn = ender.generate(contexts, num_return_sequences=protocol.n_best, **nucleus, **common)
    groups = [list(map(str, endings)) for endings in drawn]
    shown = f"p {protocol.top_p:g}, T {protocol.nucleus_temperature:g}"
    yield System(f"{name}, nucleus {shown}", [group[0] for group in groups], groups)
    if ender.has_discriminator:
        best = [str(max(endings, key=lambda ending: ending.score)) for endings in drawn]
        yield System(f"{name}, best of {protocol.n_best} by D", best)
    likeliest = [str(max(endings, key=lambda ending: ending.log_prob)) for endings in drawn]
    yield System(f"{name}, likeliest of {protocol.n_best}", likeliest)


@dataclass(frozen=True)
class Judge:
    """An independent judge, trained apart on the corpus's training stories; no game ever sees it."""

    network: StoryJudge
    corpus: StoryCorpus
    accuracy: Score
    """On held-out stories, how often it prefers the true ending to one of another story."""

    @staticmethod
    def of(corpus: StoryCorpus, seed: int = 1234, progress: Callable[[int, float], None] | None = None) -> Judge:
        """Trains the judge, or finds it in the cache."""

        def make(folder: Path) -> None:
            judge = train_judge(corpus.train.batch(), corpus.spec, seed=seed, progress=progress)
            save_file({name: x.contiguous() for name, x in judge.state_dict().items()}, folder / "judge.safetensors")

        training = hashlib.sha256()
        for part in corpus.train.batch():
            training.update(part.numpy().tobytes())
        identity = ["judge", JUDGE_FORMAT, seed, corpus.tokenizer.signature, training.hexdigest()]
        network = StoryJudge(corpus.spec)
        network.load_state_dict(load_file(cached(identity, make) / "judge.safetensors"))
        network.eval()
        held_out = corpus.test.batch()
        return Judge(network, corpus, pair_accuracy(network, held_out.context, held_out.ending))

    def scores(self, stories: Sequence[Story], endings: Sequence[str]) -> list[float]:
        """The judge's probability that each ending belongs to its story."""
        tokenizer, spec = self.corpus.tokenizer, self.corpus.spec
        context = encode_contexts(tokenizer, spec, [story.sentences for story in stories])
        ending = encode_endings(tokenizer, spec, [text or "." for text in endings])
        return self.network.score(context, ending).tolist()


def table(
    rows: Sequence[System], stories: Sequence[Story], corpus: StoryCorpus, judge: Judge | None = None
) -> dict[str, Scores]:
    """The scores of every row. Those that hold human endings against themselves are left out."""
    train = training_endings(corpus)
    found: dict[str, Scores] = {}
    for row in rows:
        scores = endings_of_stories(row.endings, stories, train, corpus.check, row.groups)
        if judge is not None:
            values = judge.scores(stories, row.endings)
            described = signature("judge", pair_accuracy=f"{judge.accuracy.value:.3f}", samples=len(values))
            scores["judge"] = Score(sum(values) / len(values), described)
        if row.endings == [story.ending for story in stories]:
            scores = {name: score for name, score in scores.items() if not name.startswith(OF_PAIRS)}
        found[row.name] = scores
    return found


def cloze_table(models: Mapping[str, StoryEnder], cloze: Sequence[Cloze], seed: int = 0) -> dict[str, Score]:
    """Share of stories whose right ending is chosen, by each model's scores, with controls that read no context.

    No labels are used but by the last row. "ending only" scores the endings after the context of another story.
    """
    labelled = [story for story in cloze if story.answer is not None]
    if not labelled:
        return {}
    contexts = [story.sentences for story in labelled]
    endings = [list(story.endings) for story in labelled]
    order = random.Random(seed).sample(range(len(labelled)), len(labelled))
    following = dict(zip(order, [*order[1:], order[0]], strict=True))  # one circle: no story meets its own context
    shuffled = [contexts[following[i]] for i in range(len(labelled))]
    found = {}
    for name, ender in models.items():
        for by in ender.scorers:
            for label, given in ((by, contexts), (f"{by}, ending only", shuffled)):
                choices = ender.choose(list(given), endings, by=by)
                right = [choice.index == story.answer for choice, story in zip(choices, labelled, strict=True)]
                described = signature("cloze", by=by, labels="unused", stories=len(right))
                found[f"{name}: {label}"] = Score(sum(right) / len(right), described)
    if len(labelled) >= 5:
        found["naive Bayes on endings, with labels"] = ending_only_naive_bayes(labelled, seed=seed)
    return found


SHOWN = {
    "corpus-bleu-1": "BLEU-1", "corpus-bleu-2": "BLEU-2", "corpus-bleu-4": "BLEU-4", "rouge-l": "ROUGE-L",
    "meteor": "METEOR", "distinct-1": "D-1 %", "distinct-2": "D-2 %", "group-self-bleu-2": "n-best self-BLEU-2",
    "unique": "unique", "novelty": "new", "length": "words", "consistency": "consistent", "judge": "judge",
}  # fmt: skip
"""Columns: metrics, and how they are headed."""


def as_markdown(rows: Mapping[str, Mapping[str, Score]]) -> str:
    """The table for people."""
    columns = [name for name in SHOWN if any(name in scores for scores in rows.values())]
    lines = [f"| | {' | '.join(SHOWN[name] for name in columns)} |", "|---" + "|---:" * len(columns) + "|"]
    lines += [f"| {row} | {' | '.join(_cell(name, scores) for name in columns)} |" for row, scores in rows.items()]
    return "\n".join(lines)


def _cell(name: str, scores: Mapping[str, Score]) -> str:
    if name not in scores:
        return ""
    value = scores[name].value
    if SHOWN[name].endswith("%"):
        return f"{100 * value:.1f}"
    return f"{value:.2f}" if name.startswith("corpus") or name == "length" else f"{value:.3f}"
