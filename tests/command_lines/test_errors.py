"""A user's error is one line that says what is accepted, and nothing is lost."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.command_lines.calls import Call, contents, start
from textgan.errors import UserError

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


def test_a_process_exits_with_status_2_on_a_users_error_and_says_nothing_on_standard_output() -> None:
    process = start("textgan.generate", "nowhere")
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert err.startswith("textgan: error: nowhere is not a run folder")
    assert err.count("\n") == 1
