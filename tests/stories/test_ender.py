from __future__ import annotations

import itertools
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import textgan
from textgan.errors import UserError
from textgan.stories import Ending, StoryEnder

STORY = "Tom wanted a kite. He had no money. He washed cars all week. He went to the shop."
OTHER = ("Anna lost her ring.", "She looked in every corner.", "Ben helped her.", "It was a day like any other.")
MANY = [STORY, OTHER, STORY]


def texts(answer: object) -> list[str]:
    assert isinstance(answer, list)
    return list(map(str, answer))


class TestGenerate:
    def test_one_context_gives_one_ending_or_a_list_of_as_many_as_asked(self, ender: StoryEnder) -> None:
        single = ender(STORY)
        assert isinstance(single, Ending)
        assert str(single) == single.text
        assert len(texts(ender(STORY, num_return_sequences=3, seed=0))) == 3

    def test_a_list_gives_a_list_of_those(self, ender: StoryEnder) -> None:
        assert all(isinstance(ending, Ending) for ending in ender(MANY))
        several = ender(MANY, num_return_sequences=2, seed=0)
        assert [len(endings) for endings in several] == [2, 2, 2]

    def test_greedy_is_a_beam_of_one_and_takes_the_most_probable_token_at_every_step(self, ender: StoryEnder) -> None:
        greedy = ender(STORY)
        assert greedy == ender(STORY, num_beams=1, do_sample=False)
        policy = ender.game.policy(ender._rows(ender._contexts(STORY)[0]))
        state, ids = policy.start(1), []
        with torch.no_grad():
            while len(ids) < ender.spec.length and (not ids or ids[-1] != ender.spec.eos):
                logits = policy.logits(state)
                logits[:, ender.spec.unk] = -torch.inf
                if not ids:
                    logits[:, ender.spec.eos] = -torch.inf
                ids.append(int(logits.argmax()))
                state = policy.advance(torch.tensor([ids[-1]]), state)
        assert greedy.text.lower() == ender.tokenizer.detokenize(ids)

    def test_a_beam_finds_endings_at_least_as_likely_as_greedy(self, ender: StoryEnder) -> None:
        for options in ({}, {"num_beam_groups": 4, "diversity_penalty": 1.0}):
            beams = ender(STORY, num_beams=4, num_return_sequences=4, length_penalty=0.0, **options)
            assert len(beams) == 4
        best = ender(STORY, num_beams=50, length_penalty=0.0)
        assert best.log_prob >= ender(STORY).log_prob - 1e-4

    def test_the_same_seed_gives_the_same_endings_and_others_other_ones(self, ender: StoryEnder) -> None:
        first, again, other = (ender(MANY, num_return_sequences=4, seed=seed) for seed in (1, 1, 2))
        assert first == again
        assert first != other

    def test_drawing_leaves_the_random_numbers_of_others_alone(self, ender: StoryEnder) -> None:
        torch.manual_seed(3)
        expected = torch.rand(2)
        torch.manual_seed(3)
        ender(STORY, num_return_sequences=2)
        assert torch.equal(torch.rand(2), expected)

    def test_reranking_is_monotone_in_the_score_it_reports(self, ender: StoryEnder) -> None:
        for endings in ender(MANY, num_return_sequences=8, rerank="discriminator", seed=0):
            scores = [ending.score for ending in endings]
            assert scores == sorted(scores, reverse=True)
            assert len(set(scores)) > 1

    def test_reranking_keeps_the_best_of_the_candidates(self, ender: StoryEnder) -> None:
        every = ender(STORY, num_return_sequences=12, rerank="discriminator", seed=0)
        kept = ender(STORY, num_return_sequences=3, candidates=12, rerank="discriminator", seed=0)
        assert kept == every[:3]
        alone = ender(STORY, rerank="discriminator", seed=0)
        assert alone == max(ender(STORY, num_return_sequences=8, seed=0), key=lambda ending: ending.score)

    def test_the_numbers_of_an_ending_are_the_games(self, ender: StoryEnder) -> None:
        endings = ender(STORY, num_return_sequences=100, seed=0)
        rows = ender._rows(ender._contexts(STORY)[0])
        tokens = ender._endings([ending.text for ending in endings])
        with torch.no_grad():
            log_probs = ender.game.log_probs(rows, tokens).sum(1)
            scores = ender.game.score(rows, tokens)
        # What is cut off at the greatest length has no end mark; two dots in a row are read as one token.
        plain = [i for i, e in enumerate(endings) if len(e.text.split()) < 10 and ".." not in e.text]
        whole = [i for i in plain if (tokens[i] == ender.spec.eos).sum() == 1]
        assert whole, "some ending has an end mark"
        for i in whole:
            assert endings[i].log_prob == pytest.approx(log_probs[i].item(), abs=1e-3)
            assert endings[i].score == pytest.approx(scores[i].item(), abs=1e-5)

    def test_distinct_endings_are_all_different(self, ender: StoryEnder) -> None:
        for endings in ender(MANY, num_return_sequences=8, temperature=0.5, distinct=True, seed=0):
            assert len({ending.text for ending in endings}) == 8

    def test_unknown_words_are_never_written(self, ender: StoryEnder) -> None:
        found = ender([STORY] * 20, num_return_sequences=4, temperature=3.0, seed=0)
        assert not any("<unk>" in ending.text for endings in found for ending in endings)

    def test_a_batch_gives_what_its_contexts_give_alone(self, ender: StoryEnder) -> None:
        assert ender(MANY, batch_size=2) == [ender(context) for context in MANY]

    def test_a_progress_bar_counts_contexts(self, ender: StoryEnder, capsys: pytest.CaptureFixture[str]) -> None:
        ender(MANY, batch_size=1, progress=True)
        assert "3/3" in capsys.readouterr().err
        ender(MANY, batch_size=1, progress=False)
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"num_return_sequences": 0}, "num_return_sequences is 0; it must be at least 1"),
            ({"num_beams": 2, "num_return_sequences": 3}, "num_beams is 2; for 3 endings"),
            ({"num_beams": 2, "do_sample": True}, "do_sample is True and num_beams is 2"),
            ({"temperature": 0.0}, "temperature .*0.0.* must be greater than 0"),
            ({"top_p": 1.5}, "top_p .*1.5.* must be"),
            ({"top_k": -1}, "top_k .*-1.* must be"),
            ({"candidates": 1, "num_return_sequences": 2}, "candidates is 1; it must be at least 2"),
            ({"rerank": "likelihood"}, "rerank is 'likelihood'; it must be None or 'discriminator'"),
            ({"seed": -1, "do_sample": True}, "seed is -1"),
            ({"batch_size": 0}, "batch_size is 0"),
            ({"num_beams": 4, "num_beam_groups": 3}, "num_beams"),
        ],
    )
    def test_senseless_numbers_are_refused(self, ender: StoryEnder, options: dict[str, object], said: str) -> None:
        with pytest.raises(UserError, match=said):
            ender(STORY, **options)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ("Three. Sentences. Only.", "the context has 3 sentences"),
            ("", "the context is empty"),
            (42, "the context is 42, of type int"),
            (
                ["word " * 10_000 + ". A b. C d. E f."],
                "context 1, sentence 1 has 10,001 tokens; at most 64 are accepted",
            ),
            ([STORY, 5], "context 2 is 5, of type int"),
        ],
    )
    def test_wrong_contexts_are_named(self, ender: StoryEnder, given: object, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            ender(given)


class TestStream:
    def test_the_pieces_joined_are_an_ending(self, ender: StoryEnder) -> None:
        for seed in range(5):
            pieces = list(ender.stream(STORY, seed=seed))
            assert len(pieces) > 1
            words = ender.tokenizer.words("".join(pieces).lower())
            assert 0 < len(words) <= ender.spec.length

    def test_at_no_temperature_it_is_the_greedy_ending(self, ender: StoryEnder) -> None:
        assert "".join(ender.stream(STORY, temperature=1e-4)) == ender(STORY).text

    def test_a_list_is_refused_at_once(self, ender: StoryEnder) -> None:
        with pytest.raises(UserError, match="stream takes one context; it was given a list of 3"):
            ender.stream(MANY)


class TestScore:
    def test_scores_are_those_of_the_game(self, ender: StoryEnder) -> None:
        rows, tokens = ender._rows(ender._contexts(STORY)[0]), ender._endings(["tom was proud."])
        with torch.no_grad():
            probability = ender.game.score(rows, tokens).item()
            mean = (ender.game.log_probs(rows, tokens).sum() / (tokens != 0).sum()).item()
        assert ender.score(STORY, "tom was proud.") == pytest.approx(probability)
        assert ender.score(STORY, "tom was proud.", by="likelihood") == pytest.approx(mean, abs=1e-5)
        assert ender.score([STORY, STORY], ["tom was proud."] * 2) == pytest.approx([probability] * 2)

    def test_ranking_orders_by_score_and_cuts(self, ender: StoryEnder) -> None:
        offered = ["tom was proud.", "anna felt lucky.", "he went home without the kite."]
        ranked = ender.rank(STORY, offered)
        scores = [ender.score(STORY, ending.text) for ending in ranked]
        assert scores == sorted(scores, reverse=True)
        assert sorted(ending.text for ending in ranked) == sorted(offered)
        assert ender.rank(STORY, offered, top_k=1) == ranked[:1]

    def test_choosing_takes_the_largest_score(self, ender: StoryEnder) -> None:
        offered = ["tom was proud.", "anna felt lucky."]
        for by in ("discriminator", "likelihood"):
            choice = ender.choose(STORY, offered, by=by)
            assert choice.scores == pytest.approx([ender.score(STORY, ending, by=by) for ending in offered])
            assert choice.ending == offered[choice.index]
            assert choice.scores[choice.index] == max(choice.scores)
        assert [c.index for c in ender.choose(MANY, [offered] * 3)] == [ender.choose(s, offered).index for s in MANY]

    def test_endings_longer_than_any_learned_from_are_read_whole(self, ender: StoryEnder) -> None:
        long = "tom was proud and " * 10 + "happy."
        assert ender.score(STORY, long) != ender.score(STORY, long + " he was sad.")
        with pytest.raises(UserError, match="ending 1 has 4,001 tokens; at most 64 are accepted"):
            ender.score(STORY, "tom was proud and " * 1000 + ".")

    def test_bad_endings_are_named(self, ender: StoryEnder) -> None:
        with pytest.raises(UserError, match="ending 2 is empty"):
            ender.rank(STORY, ["a b.", " "])
        with pytest.raises(UserError, match="ending 1 is 3, of type int"):
            ender.choose(STORY, [3])
        with pytest.raises(UserError, match="the endings are 'text'"):
            ender.rank(STORY, "text")  # type: ignore[arg-type]
        with pytest.raises(UserError, match="as many endings as contexts, 3"):
            ender.score(MANY, ["a b."])

    def test_without_a_discriminator_the_likelihood_scores(self, likelihood_ender: StoryEnder) -> None:
        found = likelihood_ender.score(STORY, "tom was proud.")
        assert found == likelihood_ender.score(STORY, "tom was proud.", by="likelihood")
        assert likelihood_ender.choose(STORY, ["a b.", "c d."]).by == "likelihood"
        assert likelihood_ender(STORY).score is None
        with pytest.raises(UserError, match="which a model of mle_story has not"):
            likelihood_ender.score(STORY, "tom.", by="discriminator")
        with pytest.raises(UserError, match="which a model of mle_story has not"):
            likelihood_ender(STORY, rerank="discriminator")
        with pytest.raises(UserError, match="no discriminator"):
            likelihood_ender.explain(STORY, "tom was proud.")


class TestExplain:
    def test_the_rewards_sum_to_score_less_start(self, ender: StoryEnder) -> None:
        for ending in ("Tom was proud.", "tom bought the kite and he felt really proud."):
            found = ender.explain(STORY, ending, rollouts=4)
            assert sum(credit.reward for credit in found.credits) == pytest.approx(found.score - found.start, abs=1e-5)
            assert found.score == pytest.approx(ender.score(STORY, ending), abs=1e-5)

    def test_there_is_a_credit_for_every_token_and_the_end_mark(self, ender: StoryEnder) -> None:
        tokens = [credit.token for credit in ender.explain(STORY, "Tom was proud.").credits]
        assert tokens == ["tom", "was", "proud", ".", "</s>"]

    def test_occlusion_is_the_drop_of_the_score_when_the_token_is_unknown(self, ender: StoryEnder) -> None:
        found = ender.explain(STORY, "tom was proud.")
        for place, credit in enumerate(found.credits[:-1]):
            words = ["tom", "was", "proud", "."]
            words[place] = "unheardof"
            expected = found.score - ender.score(STORY, " ".join(words))
            assert credit.occlusion == pytest.approx(expected, abs=1e-5)

    def test_the_start_is_the_mean_score_of_drawn_endings(self, ender: StoryEnder) -> None:
        drawn = ender(STORY, num_return_sequences=400, seed=5)
        scores = torch.tensor([ending.score for ending in drawn])
        start = ender.explain(STORY, "tom was proud.", rollouts=400).start
        assert start == pytest.approx(scores.mean().item(), abs=5 * scores.std().item() / math.sqrt(200))

    def test_the_same_seed_explains_alike(self, ender: StoryEnder) -> None:
        first, again, other = (ender.explain(STORY, "tom was proud.", rollouts=2, seed=seed) for seed in (1, 1, 2))
        assert first == again
        assert first != other


class TestSaving:
    def test_a_saved_model_gives_the_same_endings_in_a_new_process(self, ender: StoryEnder, tmp_path: Path) -> None:
        folder = ender.save_pretrained(tmp_path / "saved")
        assert sorted(p.name for p in folder.iterdir()) == sorted(
            ["README.md", "config.yaml", "data.json", "model.safetensors", "tokenizer.json"]
        )
        program = (
            "import sys; from textgan.stories import StoryEnder\n"
            "ender = StoryEnder.from_pretrained(sys.argv[1])\n"
            "for ending in ender(sys.argv[2], num_return_sequences=4, seed=7): print(ending)\n"
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(textgan.__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, "-c", program, str(folder), STORY],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        assert done.stdout.splitlines() == texts(ender(STORY, num_return_sequences=4, seed=7))

    def test_nothing_is_overwritten(self, ender: StoryEnder, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(UserError, match="is not an empty folder"):
            ender.save_pretrained(tmp_path)
        assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]

    def test_a_failure_leaves_nothing_behind(
        self, ender: StoryEnder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(path: Path) -> None:
            raise OSError("no space left")

        monkeypatch.setattr(ender.tokenizer, "save", fail)
        with pytest.raises(OSError, match="no space left"):
            ender.save_pretrained(tmp_path / "saved")
        assert list(tmp_path.iterdir()) == []

    def test_a_run_of_sentences_is_refused(self, tiny_run: Path) -> None:
        with pytest.raises(UserError, match="does not write story endings"):
            StoryEnder.from_pretrained(tiny_run)

    def test_training_gives_a_model(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("textgan.experiment.build_report", lambda folders: "")  # most of a short run's time
        options = {"data": {"limit": 300}, "evaluation": {"samples": 10}}
        ender = StoryEnder.train(run=tmp_path / "run", name="mle_story", tiny=True, **options)
        assert ender.name == "mle_story"
        assert ender.run.folder == tmp_path / "run"
        assert ender(STORY).text

    def test_load_says_what_to_use(self, story_run: Path) -> None:
        with pytest.raises(UserError, match="played on stories"):
            textgan.load(story_run)


def tiny_transformer(folder: Path) -> str:
    from transformers import GPT2Config

    GPT2Config(n_layer=1, n_head=2, n_embd=16, n_positions=128).save_pretrained(folder)
    return f"hf:{folder}"


def test_a_transformer_writes_endings_and_its_run_needs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a config alone; the folder that it came from may be gone afterwards."""
    monkeypatch.setattr("textgan.experiment.build_report", lambda folders: "")  # most of a short run's time
    generator = tiny_transformer(tmp_path / "gpt")
    options = {"game": {"generator": {"kind": generator}}, "data": {"limit": 200}, "evaluation": {"samples": 10}}
    ender = StoryEnder.train(run=tmp_path / "run", tiny=True, **options)
    shutil.rmtree(tmp_path / "gpt")
    again = StoryEnder.from_pretrained(tmp_path / "run")
    saved = StoryEnder.from_pretrained(ender.save_pretrained(tmp_path / "saved"))
    answers = [model(STORY, num_return_sequences=3, seed=0) for model in (ender, again, saved)]
    assert answers[0] == answers[1] == answers[2]
    found = ender.explain(STORY, "tom was proud.", rollouts=2)
    assert sum(credit.reward for credit in found.credits) == pytest.approx(found.score - found.start, abs=1e-5)
    assert all(a != b for a, b in itertools.pairwise(map(str, answers[0])))
