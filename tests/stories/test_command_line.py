"""``python -m textgan.stories`` as a user meets it, in this process: held against the library's own answers."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command_lines.calls import Call, Outcome, contents
from textgan import command_line
from textgan.data.stories import Cloze, Story, StoryCorpus, open_stories
from textgan.stories import StoryEnder, demo
from textgan.stories.__main__ import USAGE, main
from textgan.stories.judge import StoryJudge, train_judge
from textgan.stories.protocol import Protocol
from textgan.stories.table import as_markdown, cloze_table, controls, systems, table

STORY = "Tom wanted a kite. He had no money. He washed cars all week. He went to the shop."
OTHER = "Anna lost her ring. She looked in every corner. Ben helped her. It was a day like any other."
DRAWN: dict[str, Any] = {
    "num_return_sequences": 8,
    "candidates": 8,
    "do_sample": True,
    "temperature": 0.8,
    "top_p": 0.9,
    "distinct": True,
    "seed": 0,
}
"""What ``generate`` does where nothing else is said."""
QUICK = ["--protocol.n-best", "2", "--protocol.num-beams", "2"]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs ``python -m textgan.stories`` in this process, as `command_line.run` does."""

    def call(*args: object) -> Outcome:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["stories", *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            command_line.run(main)
        return Outcome(int(stop.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def corpus(ender: StoryEnder) -> StoryCorpus:
    return open_stories(ender.settings.corpus, ender.settings.data)


def ranked(lines: Sequence[str]) -> tuple[list[float], list[str]]:
    """The scores and the endings of ``generate``'s lines."""
    found = [re.fullmatch(r" *(-?\d+\.\d{3})  (\S.*)", line) for line in lines]
    assert all(found), lines
    return [float(match[1]) for match in found if match], [match[2] for match in found if match]


class TestGenerate:
    def test_prints_different_endings_the_best_first_and_nothing_else(
        self, call: Call, story_run: Path, ender: StoryEnder
    ) -> None:
        outcome = call("generate", story_run, STORY, "--num", 8, "--seed", 0)
        assert (outcome.status, outcome.err) == (0, "")
        scores, endings = ranked(outcome.out.splitlines())
        direct = ender.generate(STORY, rerank="discriminator", **DRAWN)
        assert endings == [ending.text for ending in direct]
        assert scores == [pytest.approx(ending.score, abs=6e-4) for ending in direct]
        assert scores == sorted(scores, reverse=True)
        assert len(set(endings)) == 8

    def test_json_lines_hold_the_same_endings(self, call: Call, story_run: Path, ender: StoryEnder) -> None:
        lines = call("generate", story_run, STORY, OTHER, "--seed", 0, "--format", "jsonl").out.splitlines()
        direct = ender.generate([STORY, OTHER], rerank="discriminator", **DRAWN)
        assert list(map(json.loads, lines)) == [
            {"context": story, "endings": [{"text": e.text, "log_prob": e.log_prob, "score": e.score} for e in endings]}
            for story, endings in zip((STORY, OTHER), direct, strict=True)
        ]

    def test_without_a_discriminator_the_number_is_the_log_probability(
        self, call: Call, likelihood_run: Path, likelihood_ender: StoryEnder
    ) -> None:
        numbers, endings = ranked(call("generate", likelihood_run, STORY, "--seed", 0).out.splitlines())
        direct = likelihood_ender.generate(STORY, **DRAWN)
        assert endings == [ending.text for ending in direct]
        assert numbers == [pytest.approx(ending.log_prob, abs=6e-4) for ending in direct]

    def test_no_rerank_leaves_the_order_of_drawing(self, call: Call, story_run: Path, ender: StoryEnder) -> None:
        _, endings = ranked(call("generate", story_run, STORY, "--seed", 0, "--no-rerank").out.splitlines())
        assert endings == [ending.text for ending in ender.generate(STORY, **DRAWN)]

    def test_beams_are_those_of_the_library(self, call: Call, story_run: Path, ender: StoryEnder) -> None:
        options = ["--num", 2, "--num-beams", 4, "--num-beam-groups", 2, "--diversity-penalty", 1.0, "--no-rerank"]
        _, endings = ranked(call("generate", story_run, STORY, *options).out.splitlines())
        how: dict[str, Any] = {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 1.0}
        direct = ender.generate(STORY, num_return_sequences=2, candidates=4, distinct=True, **how)
        assert endings == [ending.text for ending in direct]

    def test_one_ending_is_a_line_too(self, call: Call, story_run: Path) -> None:
        assert len(ranked(call("generate", story_run, STORY, "--num", 1).out.splitlines())[1]) == 1

    def test_the_seed_makes_the_text(self, call: Call, story_run: Path) -> None:
        first, again, other, another = (
            call("generate", story_run, STORY, *seed).out for seed in (["--seed", 1], ["--seed", 1], [], [])
        )
        assert first == again
        assert len({first, other, another}) == 3

    @pytest.mark.parametrize("source", ["stdin", "txt", "jsonl", "csv"])
    def test_stories_come_from_files_and_standard_input_as_well(
        self, source: str, call: Call, story_run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = [[*re.findall(r"[^.]+\.", story), "The end."] for story in (STORY, OTHER)]
        told = [[sentence.strip() for sentence in story] for story in told]
        if source == "stdin":
            monkeypatch.setattr(sys, "stdin", io.StringIO(f"{STORY}\n\n  {OTHER}\n"))
        elif source == "txt":
            Path("told.txt").write_text("".join(" ".join(story) + "\n" for story in told))
        elif source == "jsonl":
            Path("told.jsonl").write_text("".join(json.dumps({"sentences": story}) + "\n" for story in told))
        else:
            header = ["storyid", "storytitle", *(f"sentence{i}" for i in range(1, 6))]
            with Path("told.csv").open("w", newline="") as file:
                csv.writer(file).writerows([header, *(["1", "Title", *story] for story in told)])
        given = [] if source == "stdin" else ["--file", f"told.{source}"]
        outcome = call("generate", story_run, *given, "--num", 3, "--seed", 0)
        assert outcome == call("generate", story_run, STORY, OTHER, "--num", 3, "--seed", 0)
        lines = outcome.out.splitlines()
        assert [lines[0], lines[4]] == [STORY, OTHER]
        for part in (lines[1:4], lines[5:]):
            scores, _ = ranked(part)
            assert scores == sorted(scores, reverse=True)


def write_cloze(path: str, asked: Sequence[Cloze], answers: Sequence[object] | None) -> str:
    header = ["InputStoryid", *(f"InputSentence{i}" for i in range(1, 5))]
    header += ["RandomFifthSentenceQuiz1", "RandomFifthSentenceQuiz2"]
    rows = [[story.name, *story.sentences, *story.endings] for story in asked]
    if answers is not None:
        header.append("AnswerRightEnding")
        rows = [[*row, str(answer)] for row, answer in zip(rows, answers, strict=True)]
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


class TestChoose:
    def test_the_worlds_own_cloze_is_chosen_by_the_model_and_counted(
        self, call: Call, story_run: Path, ender: StoryEnder, corpus: StoryCorpus
    ) -> None:
        outcome = call("choose", story_run)
        assert outcome.status == 0
        assert outcome.out.splitlines() == [
            f"{story.name}\t{choice.index + 1}\t{choice.ending}"
            for story in corpus.cloze
            for choice in [ender.choose(story.sentences, list(story.endings))]
        ]
        assert outcome.err.splitlines() == [
            f"{score.value:.4f}  {name}  {score.signature}"
            for name, score in cloze_table({"model": ender}, corpus.cloze).items()
        ]

    def test_labels_change_what_is_counted_and_never_what_is_chosen(
        self, call: Call, story_run: Path, corpus: StoryCorpus
    ) -> None:
        asked = [Cloze(s.sentences, s.endings, s.answer, f"n{i}") for i, s in enumerate(corpus.cloze[:8])]
        answers = [i % 2 + 1 for i in range(8)]
        files = {
            "blank": write_cloze("blank.csv", asked, None),
            "told": write_cloze("told.csv", asked, answers),
            "turned": write_cloze("turned.csv", asked, [3 - answer for answer in answers]),
            "some": write_cloze("some.csv", asked, [*answers[:3], "", "", "", "", ""]),
        }
        found = {name: call("choose", story_run, file) for name, file in files.items()}
        assert len({outcome.out for outcome in found.values()}) == 1
        assert found["blank"].err == ""
        chosen = [int(line.split("\t")[1]) for line in found["told"].out.splitlines()]
        assert [line.split("\t")[0] for line in found["told"].out.splitlines()] == [story.name for story in asked]
        right = sum(a == b for a, b in zip(chosen, answers, strict=True)) / 8
        some = sum(a == b for a, b in zip(chosen[:3], answers, strict=False)) / 3
        for name, share in (("told", right), ("turned", 1 - right), ("some", some)):
            line = next(line for line in found[name].err.splitlines() if "  model: likelihood  cloze|" in line)
            assert line.startswith(f"{share:.4f}  ")

    @pytest.mark.parametrize("by", ["discriminator", "likelihood"])
    def test_one_story_has_a_score_a_line(self, by: Any, call: Call, story_run: Path, ender: StoryEnder) -> None:
        endings = ["He bought it.", "The sun was shining on the river.", "He ran."]
        outcome = call("choose", story_run, "--story", STORY, "--endings", *endings, "--by", by)
        scores = [ender.score(STORY, ending, by=by) for ending in endings]
        marks = ["->" if score == max(scores) else "  " for score in scores]
        lines = [f"{m} {s:8.4f}  {e}" for m, s, e in zip(marks, scores, endings, strict=True)]
        assert outcome == Outcome(0, "".join(f"{line}\n" for line in lines), "")

    def test_a_corpus_without_wrong_endings_has_no_cloze(self, call: Call, story_run: Path) -> None:
        shutil.copytree(story_run, "own")
        config = yaml.safe_load(Path("own/config.yaml").read_text())
        Path("own/config.yaml").write_text(yaml.safe_dump({**config, "corpus": "told.jsonl"}))
        words = [[f"w{n} x{n} y{n} z{n} {i}." for i in range(5)] for n in range(100)]
        write_stories("told.jsonl", [Story(tuple(sentences[:4]), sentences[4]) for sentences in words])
        assert "told.jsonl has no cloze test; give a CLOZE.csv or --story" in call("choose", "own").complaint


def write_stories(path: str, told: Sequence[Story]) -> str:
    Path(path).write_text("".join(json.dumps({"sentences": [*s.sentences, s.ending]}) + "\n" for s in told))
    return path


class TestEvaluate:
    def test_prints_and_writes_every_row_and_every_score(
        self,
        call: Call,
        story_run: Path,
        likelihood_run: Path,
        ender: StoryEnder,
        likelihood_ender: StoryEnder,
        corpus: StoryCorpus,
    ) -> None:
        outcome = call("evaluate", story_run, likelihood_run, "--no-judge", "--num", 20, "--json", "s.json", *QUICK)
        assert outcome.status == 0
        stories, protocol = corpus.test.stories(20), Protocol(n_best=2, num_beams=2)
        models = {"gan": ender, "mle": likelihood_ender}
        written = [row for name, model in models.items() for row in systems(name, model, stories, protocol)]
        found = table([*controls(stories, corpus.train.stories()), *written], stories, corpus)
        chosen = cloze_table(models, corpus.cloze)
        cloze = ["", "| cloze | accuracy |", "|---|---:|", *(f"| {n} | {s.value:.4f} |" for n, s in chosen.items())]
        assert outcome.out.splitlines() == [*as_markdown(found).splitlines(), *cloze]
        assert outcome.err.splitlines() == [f"written: {row.name}" for row in written]
        rows = re.findall(r"(?m)^\| ([^|]+) \|", outcome.out)
        assert {"human", "copied 4th sentence", "random ending", "gan, greedy", "mle, greedy"} <= set(rows)
        content = json.loads(Path("s.json").read_text())
        expected = {**found, "cloze": chosen}
        assert content == {row: {m: s.as_dict() for m, s in values.items()} for row, values in expected.items()}
        assert all(score["signature"].endswith("|version:1") for row in content.values() for score in row.values())

    def test_runs_of_one_name_are_told_apart_by_their_folders(self, call: Call, story_run: Path) -> None:
        for folder in ("one", "other"):
            shutil.copytree(story_run, f"{folder}/gan")
        out = call("evaluate", "one/gan", "other/gan", "--no-judge", "--num", 4, *QUICK).out
        greedy = [line for line in out.splitlines() if ", greedy |" in line]
        assert [line.split(",")[0] for line in greedy] == ["| one/gan", "| other/gan"]

    def test_stories_and_cloze_may_be_the_users(self, call: Call, story_run: Path, corpus: StoryCorpus) -> None:
        told = corpus.valid.stories(6)
        given = ["--stories", write_stories("told.jsonl", told), "--num", 5]
        given += ["--cloze", write_cloze("cloze.csv", corpus.cloze[:3], [1, 1, 2])]
        assert call("evaluate", story_run, "--no-judge", "--json", "s.json", *given, *QUICK).status == 0
        content = json.loads(Path("s.json").read_text())
        words = sum(len(re.findall(r"[\w']+|[.,]", story.ending)) for story in told[:5]) / 5
        assert content["human"]["length"]["value"] == pytest.approx(words)
        assert content["human"]["consistency"]["value"] == 1
        assert all("stories:3|" in score["signature"] for score in content["cloze"].values())

    def test_the_judge_scores_every_row_and_says_what_it_is_worth(
        self, call: Call, story_run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def train(*args: Any, **options: Any) -> StoryJudge:
            return train_judge(*args, **options, epochs=1)

        monkeypatch.setattr("textgan.stories.table.train_judge", train)
        monkeypatch.setenv("TEXTGAN_CACHE", str(Path("cache").absolute()))
        outcome = call("evaluate", story_run, "--num", 4, "--json", "s.json", *QUICK)
        assert re.search(r"^judge: epoch 1, held-out loss \d\.\d{4}$", outcome.err, re.MULTILINE)
        said = re.search(r"^judge: prefers a held-out story's own .* in (\d\.\d{3})$", outcome.out, re.MULTILINE)
        content = json.loads(Path("s.json").read_text())
        content.pop("cloze")
        assert said
        assert all(0 < row["judge"]["value"] < 1 for row in content.values())
        assert all(f"pair_accuracy:{said[1]}|samples:4" in row["judge"]["signature"] for row in content.values())


def test_train_is_the_game_of_story_endings(call: Call) -> None:
    few = ["--evaluation.samples", 10, "--evaluation.temperatures", 1]
    outcome = call("train", "--tiny", "--data.limit", 400, *few, "--run", "made")
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err.splitlines()[-1] == "done: made/report.html"
    made = StoryEnder.from_pretrained("made")
    assert (made.name, made.settings.data.limit) == ("story_ending", 400)
    assert len(ranked(call("generate", "made", STORY).out.splitlines())[1]) == 8


def test_serve_hands_the_model_and_the_address_to_the_page(
    call: Call, story_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Any] = []
    monkeypatch.setattr(demo, "serve", lambda ender, host, port: served.append((ender.run.folder, host, port)))
    assert call("serve", story_run, "--port", 81).status == 0
    assert served == [(story_run, "127.0.0.1", 81)]


WRONG = [
    ("tell RUN", ["no command 'tell'", "train, generate, choose, evaluate, serve"]),
    ("generate", ["RUN is missing", "generate --help"]),
    ("generate RUN 'One. Two. Three.'", ["context 1 has 3 sentences", "4 are accepted"]),
    ("generate RUN STORY 'One day.'", ["context 2 has 1 sentences"]),
    ("generate RUN", ["there is no story", "--file"]),
    ("generate RUN STORY --file a.txt", ["--file a.txt", "one of them"]),
    ("generate RUN --file a.txt", ["a.txt does not exist"]),
    ("generate RUN --file three.txt", ["three.txt, line 1", "4 sentences and an ending"]),
    ("generate RUN STORY --num 0", ["num_return_sequences is 0", "at least 1"]),
    ("generate RUN STORY --num-beams 4", ["num_beams is 4", "at least 8"]),
    ("generate RUN STORY --temperature 0", ["temperature", "0"]),
    ("generate RUN STORY --top-p 2", ["top_p", "2"]),
    ("generate RUN STORY --tempreature 1", ["--tempreature", "did you mean --temperature"]),
    ("generate RUN STORY --format xml", ["--format is 'xml'", "jsonl, text"]),
    ("generate RUN STORY --device toaster", ["device is 'toaster'"]),
    ("generate nowhere STORY", ["nowhere is not a run folder"]),
    ("generate folder STORY", ["folder is not a run folder"]),
    ("generate SENTENCES STORY", ["is a run of seqgan, which does not write story endings"]),
    ("choose", ["RUN is missing"]),
    ("choose RUN missing.csv", ["missing.csv does not exist"]),
    ("choose RUN told.csv", ["told.csv, line 2", "no story cloze", "found: sentence1"]),
    ("choose RUN --by luck", ["--by is 'luck'"]),
    ("choose RUN --story STORY", ["the endings are []"]),
    ("choose RUN --endings a b", ["--endings a b", "--story is missing"]),
    ("choose RUN told.csv --story STORY --endings 'He ran.'", ["--story and told.csv"]),
    ("choose LIKELIHOOD --by discriminator", ["by is 'discriminator'", "mle_story"]),
    ("evaluate", ["RUN is missing", "evaluate --help"]),
    ("evaluate RUN nowhere", ["nowhere is not a run folder"]),
    ("evaluate RUN --num 0", ["--num is 0", "at least 1"]),
    ("evaluate RUN --json no/s.json", ["--json no/s.json cannot be written: there is no folder no"]),
    ("evaluate RUN --json folder", ["--json folder cannot be written: it is a folder"]),
    ("evaluate RUN --protocol.n-best 1", ["protocol.n_best is 1", "at least 2"]),
    ("evaluate RUN --stories missing.csv", ["missing.csv does not exist"]),
    ("evaluate RUN --cloze missing.csv", ["missing.csv does not exist"]),
    ("serve", ["RUN is missing"]),
    ("serve SENTENCES", ["does not write story endings"]),
    ("train --tinny", ["--tinny", "did you mean --tiny?"]),
    ("train --corpus bbe", ["corpus 'bbe' has no stories", "story_world"]),
]


@pytest.mark.parametrize(("line", "words"), WRONG, ids=[line for line, _ in WRONG])
def test_a_users_error_is_one_line_and_changes_nothing(
    line: str,
    words: list[str],
    call: Call,
    here: Path,
    story_run: Path,
    likelihood_run: Path,
    tiny_run: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (here / "folder").mkdir()
    (here / "three.txt").write_text("One. Two. Three.\n")
    (here / "told.csv").write_text("sentence1,sentence2,sentence3,sentence4,sentence5\na,b,c,d,e\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    before = contents(here), contents(story_run)
    names = {"RUN": story_run, "LIKELIHOOD": likelihood_run, "SENTENCES": tiny_run, "STORY": STORY}
    complaint = call(*(names.get(part, part) for part in shlex.split(line))).complaint
    assert [word for word in words if word not in complaint] == []
    assert (contents(here), contents(story_run)) == before


@pytest.mark.parametrize("args", [[], ["-h"], ["--help"]])
def test_help_names_every_command(args: list[str], call: Call) -> None:
    assert call(*args) == Outcome(0, f"{USAGE}\n", "")
    assert re.findall(r"(?m)textgan\.stories (\w+) .* {2}", USAGE) == [
        "train", "generate", "choose", "evaluate", "serve"
    ]  # fmt: skip


@pytest.mark.parametrize("command", ["train", "generate", "choose", "evaluate", "serve"])
def test_help_shows_every_options_default(command: str, call: Call) -> None:
    outcome = call(command, "--help")
    assert (outcome.status, outcome.err) == (0, "")
    options = sum(line.lstrip("│ ").startswith("--") for line in outcome.out.splitlines())
    shown = " ".join(line.strip("│ ") for line in outcome.out.splitlines()).count("(default:")
    assert shown >= options > 0
