"""The command lines as a user meets them: in this process where that says as much, else in one of their own."""

from __future__ import annotations

import importlib
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import textgan
from textgan import command_line
from textgan.api import train
from textgan.data.cache import cache_root
from textgan.errors import UserError
from textgan.metrics import KneserNey, forward_perplexity, reverse_perplexity, text_scores


class Outcome(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The message of a user's error, which is one line and all there is."""
        assert (self.status, self.out) == (2, "")
        assert self.err.startswith("textgan: error: ")
        assert self.err.count("\n") == 1
        return self.err.removeprefix("textgan: error: ").rstrip()


Call = Callable[..., Outcome]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs a command line in this process, as `command_line.run` does."""

    def call(command: str, *args: object) -> Outcome:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", [command, *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            command_line.run(importlib.import_module(f"textgan.{command}").main)
        return Outcome(int(stop.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[Path, bytes | None]:
    """Every folder and every file below `folder`, with its bytes."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


BAD_FILES = {
    "empty.txt": b"",
    "binary.txt": b"\x00\x01\x02\n",
    "latin.txt": "caf\xe9\n".encode("latin-1"),
    "one.txt": b"a single sentence\n",
    "table.csv": b"first,second\na,b\n",
    "list.yaml": b"- seed\n",
    "broken.yaml": b"seed: [1\n",
    "empty.yaml": b"",
    "unknown.yaml": b"game: {rolouts: 3}\n",
    "type.yaml": b"game: {rollouts: many}\n",
    "behaviour.yaml": b"resume: true\n",
    "flag.yaml": b"corpus: --help\n",
    "other.yaml": b"name: mle\n",
    "number.yaml": b"7: 8\n",
}
WRONG = [
    ("train sqgan", ["sqgan", "did you mean seqgan?"]),
    ("train nothing_like_it", ["nothing_like_it", "there are: ", "mle"]),
    ("train --tiny", ["--tiny", "name of a game", "--list"]),
    ("train seqgan --tinny", ["--tinny", "did you mean --tiny?"]),
    ("train seqgan --game.rolouts 3", ["--game.rolouts", "did you mean --game.rollouts"]),
    ("train seqgan --game.rolouts=3", ["--game.rolouts;", "did you mean --game.rollouts"]),
    ("train seqgan --xyzzy", ["--xyzzy", "see python -m textgan.train seqgan --help"]),
    ("train seqgan more", ["no option more"]),
    ("train seqgan --game.rollouts many", ["--game.rollouts is 'many'", "INT"]),
    ("train seqgan --game.discriminator.widths 1 x", ["--game.discriminator.widths is '1', 'x'", "INT"]),
    ("train seqgan --game.reward fame", ["--game.reward is 'fame'", "constant, discriminator"]),
    ("train seqgan --data.limit few", ["--data.limit is 'few'", "None or INT"]),
    ("train seqgan --data.lower maybe", ["--data.lower is 'maybe'", "False, None, True"]),
    ("train seqgan --seed", ["--seed needs a value"]),
    ("train seqgan --seed -1", ["seed is -1", "[0, 2**63)"]),
    ("train seqgan --trainer.keep 0", ["trainer.keep is 0", "at least 1"]),
    ("train seqgan --trainer.ema 1", ["trainer.ema is 1.0", "[0, 1)"]),
    ("train seqgan --trainer.device toaster", ["device is 'toaster'", "cpu"]),
    ("train seqgan --evaluation.samples 1", ["evaluation.samples is 1", "at least 2"]),
    ("train seqgan --data.valid 2", ["valid 2.0", "between 0 and 1"]),
    ("train seqgan --data.limit 0", ["limit 0", "at least 1"]),
    ("train seqgan --preset missing.yaml", ["missing.yaml", "YAML file or one of: "]),
    ("train seqgan --preset list.yaml", ["list.yaml", "is a list", "mapping"]),
    ("train seqgan --preset empty.yaml", ["empty.yaml", "is empty", "mapping"]),
    ("train seqgan --preset broken.yaml", ["broken.yaml", "not YAML", "line 1"]),
    ("train seqgan --preset latin.txt", ["latin.txt", "cannot be read"]),
    ("train seqgan --preset .", ["the preset .", "Is a directory"]),
    ("train seqgan --preset unknown.yaml", ["unknown.yaml: ", "--game.rolouts", "did you mean --game.rollouts"]),
    ("train seqgan --preset type.yaml", ["type.yaml: ", "--game.rollouts is 'many'", "INT"]),
    ("train seqgan --preset behaviour.yaml", ["behaviour.yaml: ", "no option --resume"]),
    ("train seqgan --preset flag.yaml", ["unknown corpus '--help'"]),
    ("train seqgan --preset number.yaml", ["number.yaml: ", "--7"]),
    ("train seqgan --preset other.yaml", ["other.yaml", "of the game 'mle'", "'seqgan'"]),
    ("train seqgan --corpus missing.txt", ["missing.txt does not exist"]),
    ("train seqgan --corpus empty.txt", ["empty.txt is empty"]),
    ("train seqgan --corpus binary.txt", ["binary.txt, line 1", "NUL"]),
    ("train seqgan --corpus latin.txt", ["latin.txt, line 1", "UTF-8", "0xe9"]),
    ("train seqgan --corpus one.txt", ["'one'", "1 read", "more sentences"]),
    ("train seqgan --corpus bbbe", ["'bbbe'", "did you mean 'bbe'", ".txt"]),
    ("train seqgan --corpus table.csv", ["table.csv", "which field", "first, second"]),
    ("train seqgan --corpus table.csv --corpus-field third", ["'third'", "first, second"]),
    ("train seqgan --corpus one.txt --corpus-field third", ["one.txt has no fields", "'third'"]),
    ("train seqgan --run one.txt", ["--run one.txt is a file", "folder"]),
    ("train seqgan --run .", ["--run .", "other files", "choose a new folder"]),
    ("train seqgan --run one.txt/sub", ["--run one.txt/sub cannot be made: Not a directory"]),
    ("train seqgan --resume", ["--resume needs --run DIR"]),
    ("train seqgan --resume --run nowhere", ["nowhere is not a run folder", "no such folder"]),
    ("train seqgan --resume --run .", [". is not a run folder", "no config.yaml"]),
    ("generate", ["RUN is missing"]),
    ("generate nowhere", ["nowhere is not a run folder"]),
    ("generate .", [". is not a run folder"]),
    ("generate . --nums 3", ["--nums", "did you mean --num?"]),
    ("evaluate", ["RUN", "--samples FILE", "--references FILE"]),
    ("evaluate nowhere", ["nowhere is not a run folder"]),
    ("evaluate --samples one.txt", ["--references FILE"]),
    ("evaluate --samples one.txt --references no.txt", ["no.txt does not exist"]),
    ("evaluate --samples empty.txt --references one.txt", ["empty.txt is empty"]),
    ("evaluate --samples latin.txt --references one.txt", ["latin.txt, line 1", "UTF-8"]),
    ("evaluate --samples one.txt --references one.txt --json no/s.json", ["--json no/s.json", "no folder no"]),
    ("evaluate --samples one.txt --references one.txt --json .", ["--json . cannot be written"]),
    ("evaluate --samples one.txt --references one.txt --num 5", ["--num 5", "RUN"]),
    ("evaluate --samples one.txt --references one.txt --embedded 9", ["--embedded 9", "--encoder"]),
    ("evaluate --samples one.txt --references one.txt --encoder bert", ["encoder is 'bert'", "minilm or hf:PATH"]),
    ("evaluate --samples one.txt --references one.txt --encoder hf:no", ["hf:no", "no such folder"]),
    ("evaluate --samples one.txt --references one.txt --tokenizer words", ["'words'", "char, whitespace, word"]),
    ("report", ["no run folder"]),
    ("report nowhere", ["nowhere", "not a run folder"]),
    ("report .", ["'.' is not a run folder"]),
]


@pytest.mark.parametrize(("line", "words"), WRONG, ids=[line for line, _ in WRONG])
def test_a_users_error_is_one_line_with_what_is_accepted_and_leaves_nothing(
    line: str, words: list[str], call: Call, here: Path
) -> None:
    for name, content in BAD_FILES.items():
        Path(name).write_bytes(content)
    before = contents(here)
    if line.startswith("train ") and "--run" not in line and "--resume" not in line:
        line += " --run made"
    complaint = call(*shlex.split(line)).complaint
    assert [word for word in words if word not in complaint] == []
    assert contents(here) == before


WRONG_WITH_RUN = [
    ("train seqgan --run RUN", ["RUN already holds a run", "--resume", "new folder"]),
    ("train mle --run RUN --resume", ["RUN/config.yaml", "of the game 'seqgan'", "'mle'"]),
    (
        "train seqgan --run RUN --resume --game.rollouts 9 --seed 3",
        ["RUN cannot be resumed", "game.rollouts is 2 there and 9 here", "seed is 0 there and 3 here"],
    ),
    ("train seqgan --run RUN --resume --preset clip.yaml", ["game.clip is 5.0 there and 7.0 here"]),
    ("generate RUN --num 0", ["number asked for is 0", "at least 1"]),
    ("generate RUN --temperature 0", ["temperature is 0.0", "above 0"]),
    ("generate RUN --temperature -1", ["temperature is -1.0", "above 0"]),
    ("generate RUN --temperature nan", ["temperature is nan", "above 0"]),
    ("generate RUN --temperature inf", ["temperature is inf", "finite"]),
    ("generate RUN --seed -1", ["seed is -1", "[0, 2**63)"]),
    ("generate RUN --format xml", ["--format is 'xml'", "jsonl, text"]),
    ("generate RUN --device toaster", ["'toaster'", "cpu"]),
    ("evaluate RUN --num 0", ["number asked for is 0", "at least 1"]),
    ("evaluate RUN --temperature 0", ["temperature is 0.0", "above 0"]),
    ("evaluate RUN --samples clip.yaml", ["--samples clip.yaml", "test split"]),
    ("evaluate RUN --encoder minilmm", ["encoder is 'minilmm'", "minilm or hf:PATH"]),
    ("evaluate RUN --embedded 3", ["evaluation.embedded is 3", "at least 6"]),
    ("evaluate RUN --tokenizer char", ["--tokenizer char", "its own tokens"]),
    ("report RUN --out no/page.html", ["--out no/page.html cannot be written"]),
]


@pytest.mark.parametrize(("line", "words"), WRONG_WITH_RUN, ids=[line for line, _ in WRONG_WITH_RUN])
def test_a_users_error_changes_no_byte_of_a_run(line: str, words: list[str], call: Call, tiny_run: Path) -> None:
    Path("clip.yaml").write_text("game: {clip: 7.0}\n")
    before = contents(tiny_run)
    complaint = call(*shlex.split(line.replace("RUN", str(tiny_run)))).complaint
    assert [word for word in words if word.replace("RUN", str(tiny_run)) not in complaint] == []
    assert contents(tiny_run) == before


def test_what_cannot_begin_to_play_leaves_no_folder(
    call: Call, tiny_options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def play(*args: object) -> None:
        assert Path("made").is_dir()
        raise UserError("it cannot be played")

    monkeypatch.setattr("textgan.train.play", play)
    outcome = call("train", *tiny_options, "--run", "made")
    assert (outcome.status, outcome.err.splitlines()[-1]) == (2, "textgan: error: it cannot be played")
    assert not Path("made").exists()


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


def start(*args: object) -> subprocess.Popen[str]:
    """A command line in a process of its own, with one thread as the tests have."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(textgan.__file__).parents[1])}
    command = [sys.executable, "-m", *map(str, args)]
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=-1
    )


def wait_for_step(process: subprocess.Popen[str], run: Path, step: int) -> None:
    """Returns when the run has logged `step`."""
    log = run / "metrics.jsonl"
    while process.poll() is None:
        if log.exists() and any(f'"step": {n},' in log.read_text() for n in range(step, step + 5)):
            return
        time.sleep(0.005)
    pytest.fail(f"the run ended before step {step}: {process.communicate()[1]}")


def assert_same_end(run: Path, undisturbed: Path) -> None:
    """The same weights to the last bit, and the same measurements."""
    assert (run / "model.safetensors").read_bytes() == (undisturbed / "model.safetensors").read_bytes()

    def measured(folder: Path) -> list[dict[str, Any]]:
        kept = [r for r in records(folder) if r["kind"] in ("control", "metrics", "test", "sweep")]
        return [{key: value for key, value in r.items() if key != "seconds"} for r in kept]

    assert measured(run) == measured(undisturbed)


def test_a_terminated_run_says_how_to_go_on_and_ends_as_if_nothing_had_been(
    call: Call, here: Path, tiny_run: Path, tiny_options: list[str]
) -> None:
    run = here / "stopped here"  # a name that a shell would take apart
    process = start("textgan.train", *tiny_options, "--run", run, "--trainer.log-every", 1)
    wait_for_step(process, run, 3)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert (process.returncode, out) == (143, "")
    assert any((run / "checkpoints").glob("*/state.pt"))
    assert "Traceback" not in err
    advice = err.splitlines()[-1]
    assert advice.startswith("stopped by SIGTERM; go on with: python -m textgan.train ")
    assert call(*shlex.split(advice.partition("textgan.")[2])).status == 0
    assert_same_end(run, tiny_run)


def kill_and_resume(call: Call, step: int, run: Path, tiny_options: list[str]) -> None:
    """Kills a run without warning at about `step`, then plays it to its end."""
    housekeeping = ["--trainer.log-every", 1, "--trainer.checkpoint-every", 0]
    process = start("textgan.train", *tiny_options, "--run", run, *housekeeping)
    wait_for_step(process, run, step)
    time.sleep(random.uniform(0, 0.05))
    process.kill()
    process.communicate()
    assert call("train", *tiny_options, "--run", run, "--resume").status == 0


def test_a_killed_run_ends_as_if_nothing_had_been(
    call: Call, here: Path, tiny_run: Path, tiny_options: list[str]
) -> None:
    kill_and_resume(call, random.randint(1, 6), here / "killed", tiny_options)
    assert_same_end(here / "killed", tiny_run)


@pytest.mark.slow
@pytest.mark.parametrize("tenth", range(10))
def test_a_run_killed_in_any_stage_ends_as_if_nothing_had_been(
    tenth: int, call: Call, here: Path, tiny_run: Path, tiny_options: list[str]
) -> None:
    last = max(record["step"] for record in records(tiny_run))
    kill_and_resume(call, 1 + tenth * (last - 2) // 10, here / "killed", tiny_options)
    assert_same_end(here / "killed", tiny_run)


def test_a_reader_that_has_had_enough_is_no_error(tiny_run: Path) -> None:
    process = start("textgan.generate", tiny_run, "--num", 20_000)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().count("\n") == 1
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == ("", 0)
    process.stderr.close()


def test_a_process_exits_with_status_2_on_a_users_error_and_says_nothing_on_standard_output() -> None:
    process = start("textgan.generate", "nowhere")
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert err.startswith("textgan: error: nowhere is not a run folder")
    assert err.count("\n") == 1
