"""The table of story endings: every row and every cell against a direct computation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from textgan.data.stories import Cloze, Story, StoryBatch, StoryCorpus, StorySplit, open_stories
from textgan.evaluation.stories import OF_PAIRS, endings_of_stories, training_endings
from textgan.metrics import Score
from textgan.stories import Choice, StoryEnder
from textgan.stories.judge import StoryJudge, ending_only_naive_bayes, pair_accuracy, train_judge
from textgan.stories.protocol import Protocol
from textgan.stories.table import Judge, System, as_markdown, cloze_table, controls, systems, table

PROTOCOL = Protocol(
    temperatures=(0.7, 1.0), top_p=0.85, n_best=3, num_beams=2, length_penalty=0.5, batch_size=5, seed=3
)


@pytest.fixture(scope="module")
def corpus(ender: StoryEnder) -> StoryCorpus:
    return open_stories(ender.settings.corpus, ender.settings.data)


@pytest.fixture(scope="module")
def stories(corpus: StoryCorpus) -> list[Story]:
    return corpus.test.stories(12)


@pytest.fixture(scope="module")
def judge(corpus: StoryCorpus) -> Judge:
    """One that has learned nothing."""
    torch.manual_seed(0)
    return Judge(StoryJudge(corpus.spec, size=8).eval(), corpus, Score(0.625, "any"))


class TestControls:
    def test_are_human_endings_fourth_sentences_and_endings_of_training_stories(
        self, corpus: StoryCorpus, stories: list[Story]
    ) -> None:
        human, copied, drawn = controls(stories, corpus.train.stories())
        assert (human.name, copied.name, drawn.name) == ("human", "copied 4th sentence", "random ending")
        assert human.endings == [story.ending for story in stories]
        assert copied.endings == [story.sentences[3] for story in stories]
        assert len(drawn.endings) == len(stories)
        assert set(drawn.endings) <= {story.ending for story in corpus.train.stories()}
        assert len(set(drawn.endings)) > 6

    def test_the_random_endings_are_the_seeds(self, corpus: StoryCorpus, stories: list[Story]) -> None:
        first, again, other = (controls(stories, corpus.train.stories(), seed)[2].endings for seed in (1, 1, 2))
        assert first == again != other


def texts(answers: Sequence[Any]) -> list[str]:
    return [ending.text for ending in answers]


class TestSystems:
    def rows(self, ender: StoryEnder, stories: list[Story]) -> dict[str, System]:
        return {row.name: row for row in systems("m", ender, stories, PROTOCOL)}

    @pytest.mark.parametrize("fixture", ["ender", "likelihood_ender"])
    def test_rows_are_what_generate_writes(
        self, fixture: str, stories: list[Story], request: pytest.FixtureRequest
    ) -> None:
        ender = request.getfixturevalue(fixture)
        rows, contexts = self.rows(ender, stories), [story.sentences for story in stories]
        same: dict[str, Any] = {"seed": 3, "batch_size": 5}
        direct = {
            "m, greedy": ender.generate(contexts, do_sample=False, num_beams=1),
            "m, beam 2, length penalty 0.5": ender.generate(contexts, num_beams=2, length_penalty=0.5),
            "m, T 0.7": ender.generate(contexts, do_sample=True, temperature=0.7, **same),
            "m, T 1": ender.generate(contexts, do_sample=True, temperature=1.0, **same),
        }
        drawn = ender.generate(
            contexts, num_return_sequences=3, do_sample=True, top_p=0.85, temperature=0.8, top_k=0, **same
        )
        direct["m, nucleus p 0.85, T 0.8"] = [group[0] for group in drawn]
        if ender.has_discriminator:
            direct["m, best of 3 by D"] = [sorted(group, key=lambda e: e.score)[-1] for group in drawn]
        direct["m, likeliest of 3"] = [sorted(group, key=lambda e: e.log_prob)[-1] for group in drawn]
        assert {name: row.endings for name, row in rows.items()} == {name: texts(e) for name, e in direct.items()}
        assert list(rows) == list(direct)
        groups = {name: row.groups for name, row in rows.items() if row.groups is not None}
        assert groups == {"m, nucleus p 0.85, T 0.8": [texts(group) for group in drawn]}

    def test_without_a_discriminator_nothing_is_best_by_one(
        self, likelihood_ender: StoryEnder, stories: list[Story]
    ) -> None:
        assert not any("by D" in name for name in self.rows(likelihood_ender, stories))

    def test_the_best_are_not_always_the_first(self, ender: StoryEnder, stories: list[Story]) -> None:
        rows = self.rows(ender, stories)
        first, best, likeliest = (rows[f"m, {name}"].endings for name in (
            "nucleus p 0.85, T 0.8", "best of 3 by D", "likeliest of 3"
        ))  # fmt: skip
        assert first != best != likeliest != first


class TestTable:
    def test_scores_are_those_of_the_endings(self, corpus: StoryCorpus, stories: list[Story]) -> None:
        _, copied, drawn = controls(stories, corpus.train.stories())
        several = System("several", drawn.endings, [[a, b] for a, b in zip(drawn.endings, copied.endings, strict=True)])
        found = table([copied, several], stories, corpus)
        train = training_endings(corpus)
        assert found["copied 4th sentence"] == endings_of_stories(copied.endings, stories, train, corpus.check)
        assert found["several"] == endings_of_stories(several.endings, stories, train, corpus.check, several.groups)
        assert "group-self-bleu-2" in found["several"]
        assert list(found) == ["copied 4th sentence", "several"]
        assert found["several"]["novelty"].value == 0

    def test_human_endings_are_not_held_against_themselves(self, corpus: StoryCorpus, stories: list[Story]) -> None:
        human, copied, _ = controls(stories, corpus.train.stories())
        found = table([human, copied], stories, corpus)
        missing = found["copied 4th sentence"].keys() - found["human"].keys()
        assert missing == {*(f"corpus-bleu-{n}" for n in (1, 2, 3, 4)), "rouge-l", "meteor"}
        assert not any(name.startswith(OF_PAIRS) for name in found["human"])
        assert found["human"]["unique"].value == len({story.ending for story in stories}) / len(stories)

    def test_the_worlds_own_endings_are_consistent_and_its_wrong_ones_never(self, corpus: StoryCorpus) -> None:
        told = corpus.test.stories()
        rows = [System("right", [story.ending for story in told]), System("wrong", corpus.test.wrong_endings())]
        found = table(rows, told, corpus)
        assert found["right"]["consistency"].value == 1
        assert found["wrong"]["consistency"].value == 0
        half = [*rows[0].endings[:10], *rows[1].endings[10:]]
        share = table([System("half", half)], told, corpus)["half"]["consistency"]
        assert (share.value, share.signature) == (10 / len(told), f"consistency|samples:{len(told)}|version:1")

    def test_where_no_program_can_tell_there_is_no_consistency(self, corpus: StoryCorpus, stories: list[Story]) -> None:
        unchecked = dataclasses.replace(corpus, check=None)
        assert "consistency" not in table(controls(stories, stories), stories, unchecked)["human"]

    def test_the_judges_column_is_its_mean_score(self, corpus: StoryCorpus, stories: list[Story], judge: Judge) -> None:
        batch = corpus.test.batch(12)
        with torch.no_grad():
            expected = judge.network(batch.context, batch.ending[:, None])[:, 0].sigmoid().mean().item()
        found = table(controls(stories, stories), stories, corpus, judge)
        assert found["human"]["judge"].value == pytest.approx(expected, abs=1e-6)
        assert found["human"]["judge"].signature == "judge|pair_accuracy:0.625|samples:12|version:1"
        assert "judge" not in table(controls(stories, stories), stories, corpus)["human"]


class ByWord(StoryEnder):
    """Chooses the first ending whose first word the context has, else the first; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[tuple[str, ...]]] = []

    @property
    def scorers(self) -> Any:
        return ("likelihood",)

    def choose(self, context: Any, endings: Any, by: Any = None) -> Any:
        self.asked.append(context)
        choices = []
        for sentences, texts in zip(context, endings, strict=True):
            scores = tuple(float(text.split()[0] in sentences[0]) for text in texts)
            best = scores.index(max(scores))
            choices.append(Choice(best, texts[best], scores, by))
        return choices


def cloze(answers: Sequence[int | None], misled: Sequence[int] = ()) -> list[Cloze]:
    """Stories of a word each, with which their right ending begins (of those in `misled` the wrong one)."""
    made = []
    for i, answer in enumerate(answers):
        right, wrong = (f"w{i}x stayed.", f"n{i}x left.")
        if i in misled:
            right, wrong = wrong, right
        endings = (wrong, right) if answer else (right, wrong)
        made.append(Cloze((f"Here is w{i}x now.", "b c.", "d e.", "f g."), endings, answer, f"s{i}"))
    return made


class TestClozeTable:
    def test_accuracy_is_counted_by_hand(self) -> None:
        found = cloze_table({"m": ByWord()}, cloze([1, 0, 1, 0], misled=[0]))
        assert found == {
            "m: likelihood": Score(0.75, "cloze|by:likelihood|labels:unused|stories:4|version:1"),
            # no context has the word of another, so the first ending is taken, which is right in two
            "m: likelihood, ending only": Score(0.5, "cloze|by:likelihood|labels:unused|stories:4|version:1"),
        }

    @pytest.mark.parametrize("seed", range(20))
    def test_the_ending_only_control_never_reads_a_storys_own_context(self, seed: int) -> None:
        asked = cloze([0, 1, 1])
        model = ByWord()
        cloze_table({"m": model}, asked, seed)
        own, others = model.asked
        assert own == [story.sentences for story in asked]
        assert sorted(others) == sorted(own)
        assert all(a != b for a, b in zip(own, others, strict=True))

    def test_stories_without_an_answer_are_left_out(self) -> None:
        some, model = cloze([1, None, 0, None, 1, 1]), ByWord()
        found = cloze_table({"m": model}, some)
        assert found["m: likelihood"] == Score(1.0, "cloze|by:likelihood|labels:unused|stories:4|version:1")
        assert model.asked[0] == [story.sentences for story in some if story.answer is not None]
        assert cloze_table({"m": model}, cloze([None, None])) == cloze_table({"m": model}, []) == {}

    def test_naive_bayes_is_there_from_five_labelled_stories_on(self) -> None:
        row = "naive Bayes on endings, with labels"
        assert row not in cloze_table({"m": ByWord()}, cloze([1, 0, 1, 0, None]))
        six = cloze([1, 0, 1, 0, None, 1, 1])
        labelled = [story for story in six if story.answer is not None]
        assert cloze_table({"m": ByWord()}, six, seed=4)[row] == ending_only_naive_bayes(labelled, seed=4)

    def test_a_models_accuracy_is_that_of_its_scores_one_by_one(
        self, ender: StoryEnder, likelihood_ender: StoryEnder, corpus: StoryCorpus
    ) -> None:
        asked = corpus.cloze[:10]
        found = cloze_table({"gan": ender, "mle": likelihood_ender}, asked)
        assert [name for name in found if "ending only" not in name] == [
            "gan: discriminator", "gan: likelihood", "mle: likelihood", "naive Bayes on endings, with labels"
        ]  # fmt: skip
        for model, by in ((ender, "discriminator"), (ender, "likelihood"), (likelihood_ender, "likelihood")):
            right = 0
            for story in asked:
                first, second = (model.score(story.sentences, ending, by=by) for ending in story.endings)
                right += int(second > first) == story.answer
            name = "gan" if model is ender else "mle"
            assert found[f"{name}: {by}"].value == right / 10


class Turned(StorySplit):
    """The same endings after the contexts of other stories."""

    def __init__(self, split: StorySplit) -> None:
        self.__dict__.update(split.__dict__)

    def batch(self, limit: int | None = None) -> StoryBatch:
        context, ending = super().batch(limit)
        return StoryBatch(context.roll(1, 0), ending)


class TestJudge:
    @pytest.fixture
    def trained(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
        """The seeds of the judges that were trained, for one epoch, in a cache of their own."""
        seeds: list[int] = []

        def train(*args: Any, **options: Any) -> StoryJudge:
            seeds.append(options["seed"])
            return train_judge(*args, **options, epochs=1)

        monkeypatch.setattr("textgan.stories.table.train_judge", train)
        monkeypatch.setenv("TEXTGAN_CACHE", str(tmp_path))
        return seeds

    def test_is_trained_once_and_then_found(
        self, corpus: StoryCorpus, stories: list[Story], trained: list[int], tmp_path: Path
    ) -> None:
        epochs: list[int] = []
        first = Judge.of(corpus, progress=lambda epoch, loss: epochs.append(epoch))
        (file,) = tmp_path.rglob("judge.safetensors")
        made = file.stat().st_mtime_ns
        second = Judge.of(corpus, progress=lambda epoch, loss: epochs.append(epoch))
        assert (trained, epochs) == ([1234], [1])
        assert [*tmp_path.rglob("judge.safetensors")] == [file]
        assert file.stat().st_mtime_ns == made
        endings = [story.ending for story in stories]
        assert first.scores(stories, endings) == second.scores(stories, endings)
        direct = train_judge(corpus.train.batch(), corpus.spec, epochs=1, seed=1234)
        assert second.scores(stories, endings) == pytest.approx(direct.score(*corpus.test.batch(12)).tolist(), abs=1e-6)
        assert first.accuracy == second.accuracy == pair_accuracy(direct, *corpus.test.batch())

    def test_another_seed_and_other_contexts_make_another_judge(
        self, corpus: StoryCorpus, trained: list[int], tmp_path: Path
    ) -> None:
        Judge.of(corpus, seed=1)
        Judge.of(corpus, seed=2)
        Judge.of(dataclasses.replace(corpus, train=Turned(corpus.train)), seed=1)
        assert trained == [1, 2, 1]
        assert len([*tmp_path.rglob("judge.safetensors")]) == 3

    def test_an_empty_ending_has_the_score_of_a_full_stop(self, judge: Judge, stories: list[Story]) -> None:
        assert judge.scores(stories[:2], ["", "He left."]) == judge.scores(stories[:2], [".", "He left."])


def scores(**values: float) -> Mapping[str, Score]:
    return {name.replace("_", "-"): Score(value, "any") for name, value in values.items()}


def test_as_markdown_has_a_column_for_every_metric_that_some_row_has() -> None:
    rows = {
        "human": scores(distinct_1=0.12345, unique=1.0, length=8.456, distinct_4=0.5),
        "model": scores(corpus_bleu_2=12.346, unique=0.98765, consistency=0.25, nll_test=3.0),
    }
    assert as_markdown(rows) == (
        "| | BLEU-2 | D-1 % | unique | words | consistent |\n"
        "|---|---:|---:|---:|---:|---:|\n"
        "| human |  | 12.3 | 1.000 | 8.46 |  |\n"
        "| model | 12.35 |  | 0.988 |  | 0.250 |"
    )
