"""What each command does, prints and leaves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

import textgan
from tests.command_lines.calls import Call, contents, records
from textgan.api import train
from textgan.data.cache import cache_root
from textgan.errors import UserError
from textgan.metrics import KneserNey, forward_perplexity, reverse_perplexity, text_scores


def test_list_has_a_line_for_every_game(call: Call) -> None:
    listed = call("train", "--list").out.splitlines()
    games = {file.stem for file in Path(textgan.__file__).parent.glob("games/[a-z]*.py")}
    assert {line.split()[0] for line in listed} == games
    assert all(len(line.split()) > 3 for line in listed)


@pytest.mark.parametrize("command", ["train seqgan", "generate", "evaluate", "report"])
def test_help_shows_every_options_default(command: str, call: Call) -> None:
    outcome = call(*command.split(), "--help")
    assert (outcome.status, outcome.err) == (0, "")
    options = sum(line.lstrip("│ ").startswith("--") for line in outcome.out.splitlines())
    shown = " ".join(line.strip("│ ") for line in outcome.out.splitlines()).count("(default:")
    assert shown >= options > 0


def test_help_says_what_numbers_are_in(call: Call) -> None:
    text = " ".join(line.strip("│ ") for line in call("train", "seqgan", "--help").out.splitlines())
    for phrase in ("Seconds between checkpoints", "Fraction of the sentences", "Most tokens of a sentence"):
        assert phrase in text


class TestTrain:
    def test_leaves_every_file_of_a_run(self, tiny_run: Path) -> None:
        names = {path.name for path in tiny_run.iterdir()}
        files = {"config.yaml", "data.json", "tokenizer.json", "metrics.jsonl", "model.safetensors", "report.html"}
        assert names == files | {"README.md", "samples", "checkpoints"}
        assert all(len(file.read_text().splitlines()) == 50 for file in (tiny_run / "samples").iterdir())

    def test_every_record_says_where_it_stands(self, tiny_run: Path) -> None:
        written = records(tiny_run)
        assert {r["kind"] for r in written} >= {"loss", "metrics", "test", "sweep", "control", "event"}
        assert all({"step", "stage", "round", "seconds"} <= r.keys() for r in written)
        assert [r["step"] for r in written] == sorted(r["step"] for r in written)

    def test_names_the_next_free_folder_itself(self, call: Call, tiny_options: list[str]) -> None:
        Path("runs/mle-animals-1").mkdir(parents=True)
        outcome = call("train", "mle", *tiny_options[1:4], "--game.epochs", "1")
        assert (outcome.status, outcome.out) == (0, "")
        assert Path("runs/mle-animals-2/model.safetensors").exists()
        assert outcome.err.splitlines()[-1] == "done: runs/mle-animals-2/report.html"

    def test_a_dry_run_prints_the_plan_and_writes_nothing(
        self, call: Call, here: Path, tiny_options: list[str], cache: None
    ) -> None:
        before = contents(here), contents(cache_root())
        plan = call("train", *tiny_options, "--dry-run")
        assert (plan.status, plan.err) == (0, "")
        for stage in ("pretrain_generator", "pretrain_discriminator", "adversarial"):
            assert f"\n{stage} " in plan.out
        assert (contents(here), contents(cache_root())) == before

    @pytest.mark.parametrize(("action", "said"), [("truncate", "shortened"), ("drop", "dropped")])
    def test_sentences_that_are_too_long_are_counted(
        self, action: str, said: str, call: Call, corpus_file: Path
    ) -> None:
        long = [line for line in corpus_file.read_text().splitlines() if len(line.split()) > 6]
        options = ["--corpus", corpus_file, "--tiny", "--data.max-length", 6, "--data.too-long", action, "--dry-run"]
        assert f"{len(long)} longer than 6 tokens, {said}" in call("train", "mle", *options).out

    def test_a_preset_holds_and_flags_have_the_last_word(self, call: Call, corpus_file: Path) -> None:
        preset = {"corpus": str(corpus_file), "data": {"lower": True, "max_length": 6}, "game": {"epochs": 3}}
        Path("mine.yaml").write_text(yaml.safe_dump(preset))
        options = ["--preset", "mine.yaml", "--tiny", "--data.max-length", 5, "--dry-run"]
        plan = call("train", "mle", *options).out
        assert "word.lower" in plan
        assert "longer than 5 tokens" in plan
        assert "\nlikelihood                     3 " in plan

    def test_a_finished_run_is_resumed_to_the_same_end(
        self, call: Call, tiny_run: Path, tiny_options: list[str]
    ) -> None:
        shutil.copytree(tiny_run, "again")
        outcome = call("train", *tiny_options, "--run", "again", "--resume")
        assert outcome.status == 0
        assert Path("again/model.safetensors").read_bytes() == (tiny_run / "model.safetensors").read_bytes()

    def test_the_same_from_python(self, corpus_file: Path) -> None:
        game = {"epochs": 1, "generator": {"embedding": 4, "hidden": 4}}
        options = {"corpus": corpus_file, "run": "made", "tiny": True, "game": game, "data": {"lower": True}}
        folder = train("mle", options)
        assert folder == Path("made")
        assert len(textgan.load(folder).sample(3)) == 3
        with pytest.raises(UserError, match=r"no option --game.epoch; did you mean --game.epochs"):
            train("mle", {"game": {"epoch": 4}})
        with pytest.raises(UserError, match=r"no option --help"):
            train("mle", {"help": True})


class TestGenerate:
    def test_prints_as_many_lines_as_asked_and_nothing_else(self, call: Call, tiny_run: Path) -> None:
        outcome = call("generate", tiny_run, "--num", 1001)
        assert (outcome.status, outcome.err, outcome.out.count("\n")) == (0, "", 1001)

    def test_the_same_seed_gives_the_same_text(self, call: Call, tiny_run: Path) -> None:
        texts = [call("generate", tiny_run, "--num", 20, *seed).out for seed in (["--seed", 1], ["--seed", 1], [], [])]
        assert texts[0] == texts[1]
        assert len(set(texts)) == 3

    def test_json_lines_have_the_models_log_probability(self, call: Call, tiny_run: Path) -> None:
        out = call("generate", tiny_run, "--num", 300, "--format", "jsonl", "--seed", 2).out
        model = textgan.load(tiny_run)
        rows = [json.loads(line) for line in out.splitlines()]
        known = [row for row in rows if 0 < len(row["text"].split()) < model.spec.length and "<" not in row["text"]]
        assert len(rows) == 300
        assert len(known) > 50
        expected = model.log_prob([row["text"] for row in known])
        assert [row["log_prob"] for row in known] == pytest.approx(expected, abs=1e-3)
        assert [row["text"] for row in rows] == model.sample(300, seed=2)


class TestEvaluate:
    SAMPLES = "The cat sat .\nthe dog ran off .\nthe dog ran off .\n"
    REFERENCES = "the cat sat down .\na dog ran off .\n"

    @pytest.mark.parametrize("options", [[], ["--lower"], ["--tokenizer", "char"], ["--tokenizer", "word", "--lower"]])
    def test_scores_of_files_are_those_of_the_metrics(self, options: list[str], call: Call) -> None:
        files = {"samples": self.SAMPLES, "references": self.REFERENCES, "train": "the dog ran off .\n"}
        for name, text in files.items():
            Path(name).write_text(text)
        flags = [part for name in files for part in (f"--{name}", name)]
        outcome = call("evaluate", *flags, "--json", "scores.json", *options)
        assert outcome.status == 0
        lower, char = "--lower" in options, "char" in options
        cut = {
            name: [list(line) if char else line.split() for line in (text.lower() if lower else text).splitlines()]
            for name, text in files.items()
        }
        if char:  # spaces are characters too
            assert cut["samples"][0][3] == " "
        expected = text_scores(cut["samples"], cut["references"], {*map(tuple, cut["train"])})
        real = sorted({token for name in ("references", "train") for line in cut[name] for token in line})
        ids = {
            name: [[real.index(token) if token in real else len(real) for token in line] for line in sentences]
            for name, sentences in cut.items()
        }
        expected["reverse-ppl"] = reverse_perplexity(ids["samples"], ids["references"], len(real) + 1)
        expected["forward-ppl"] = forward_perplexity(KneserNey(ids["train"], len(real) + 1), ids["samples"])
        found = json.loads(Path("scores.json").read_text())
        assert {name: score["value"] for name, score in found.items()} == pytest.approx(
            {name: score.value for name, score in expected.items()}
        )
        assert {"bleu-2", "self-bleu-2", "distinct-1", "unique", "novelty", "length"} <= found.keys()
        assert all(score.keys() == {"value", "signature"} for score in found.values())
        assert [line.split()[0] for line in outcome.out.splitlines()] == list(found)
        tokenizer = (options[1] if "--tokenizer" in options else "whitespace") + ",lower" * lower
        assert all(f"tokenizer:{tokenizer}|" in score["signature"] for score in found.values())

    def test_a_runs_scores_are_reproducible_and_stamped(self, call: Call, tiny_run: Path) -> None:
        options = [tiny_run, "--num", 40, "--temperature", 0.5, "--json", "scores.json"]
        first = call("evaluate", *options)
        assert (first.status, first.err) == (0, "")
        assert call("evaluate", *options).out == first.out
        scores = json.loads(Path("scores.json").read_text())
        assert {"bleu-2", "nll-test", "novelty"} <= scores.keys()
        assert "samples:40" in scores["bleu-2"]["signature"]
        assert all("temperature:0.5" in score["signature"] for score in scores.values())

    def test_a_corpus_that_has_changed_is_noticed(self, call: Call, corpus_file: Path) -> None:
        shutil.copy(corpus_file, "mine.txt")
        call("train", "mle", "--tiny", "--corpus", "mine.txt", "--run", "made", "--game.epochs", 1)
        with Path("mine.txt").open("a") as file:
            file.writelines(f"a zebra grazes {place}\n" for place in range(50))
        assert "the corpus mine.txt has changed" in call("evaluate", "made").complaint


def test_report_makes_the_page_anew_and_prints_its_place(call: Call, tiny_run: Path) -> None:
    shutil.copytree(tiny_run, "again")
    Path("again/report.html").unlink()
    assert call("report", "again") == (0, "again/report.html\n", "")
    assert "<html" in Path("again/report.html").read_text()
