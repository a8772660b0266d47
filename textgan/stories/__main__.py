"""Story endings on the command line: ``python -m textgan.stories train|generate|choose|evaluate|serve``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from textgan import command_line
from textgan.errors import UserError
from textgan.stories.protocol import Protocol

PROG = "python -m textgan.stories"
USAGE = f"""Story endings: four sentences in, the fifth out.

usage: {PROG} train [options]                 as python -m textgan.train story_ending
       {PROG} generate RUN [STORY ...]        endings of four-sentence stories, ranked
       {PROG} choose RUN CLOZE.csv            the story cloze test
       {PROG} evaluate RUN [RUN ...]          the table: models, human, copied, random
       {PROG} serve RUN                       a page to try it on

for example:
       {PROG} train --run runs/stories
       {PROG} generate runs/stories "Tom wanted a kite. He had no money. He washed cars. He went to the shop."

RUN is the folder of a run or of a saved model. Each command has --help."""

Model = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


@dataclass(frozen=True)
class Generate:
    """Different endings of four-sentence stories, the best first, on standard output."""

    run: Model
    """Folder of a run or of a saved model."""
    stories: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[STORY ...]")] = ()
    """Stories of four sentences, each in quotes. None: one a line from standard input."""
    file: Path | None = None
    """File of stories in place of STORY: .csv, .jsonl or .txt, with endings, which are not read."""
    num: int = 8
    """Endings of each story, at least 1."""
    num_beams: int = 1
    """Above 1: beam search in place of drawing."""
    num_beam_groups: int = 1
    """Above 1: diverse beam search."""
    diversity_penalty: float = 0.0
    """What a beam group pays for the tokens of the groups before it."""
    temperature: float = 0.8
    """Temperature at which endings are drawn, above 0."""
    top_k: int = 0
    """Draw from so many most probable tokens; 0: from all."""
    top_p: float = 0.9
    """Draw from the most probable tokens that have this probability together, in (0, 1]."""
    rerank: bool = True
    """Order endings by the discriminator's score, where the model has one."""
    distinct: bool = True
    """No text twice for one story."""
    seed: int | None = None
    """The same seed gives the same endings. None: other ones every time."""
    batch_size: int = 32
    """Stories at once."""
    format: Literal["text", "jsonl"] = "text"
    """text: score and ending a line. jsonl: {"context", "endings": [{"text", "log_prob", "score"}]} a line."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""


@dataclass(frozen=True)
class Choose:
    """The story cloze test: which of two endings is right."""

    run: Model
    """Folder of a run or of a saved model."""
    cloze: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[CLOZE.csv]")] = None
    """Cloze file with InputSentence1..4, RandomFifthSentenceQuiz1 and 2; AnswerRightEnding, where it is there, is held
    against the choices and never used for them. None: the run's own corpus, where it has a cloze test."""
    story: str | None = None
    """One story of four sentences in place of a file."""
    endings: tuple[str, ...] = ()
    """The endings of --story to choose from."""
    by: Literal["discriminator", "likelihood"] = "likelihood"
    """What chooses: the generator's mean log-probability of a token, or the discriminator's score."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""


@dataclass(frozen=True)
class Evaluate:
    """The table of story endings: models beside human endings, the copied fourth sentence and a random ending."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN [RUN ...]")]
    """Folders of runs on one corpus."""
    stories: Path | None = None
    """File of held-out stories. None: the corpus's test split."""
    num: int = 2000
    """Most stories."""
    cloze: Path | None = None
    """Labelled cloze file. None: the corpus's own, where it has one."""
    judge: bool = True
    """Train an independent judge (a few minutes; kept in the cache) and let it score every row."""
    protocol: Protocol = field(default_factory=Protocol)
    """How endings are written."""
    json: Path | None = None
    """Write every score with its signature to this file."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""


@dataclass(frozen=True)
class Serve:
    """A page in the browser: four sentences in, endings with their scores out. Needs the extra: textgan[demo]."""

    run: Model
    """Folder of a run or of a saved model."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets other machines in."""
    port: int = 7860
    """Port to listen on."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""


def generate(command: Generate) -> None:
    from textgan.stories.ender import StoryEnder  # torch is slow to import, and --help needs none of it

    ender = StoryEnder.from_pretrained(command.run, command.device)
    contexts = list(_contexts(command))
    drawing = command.num_beams == 1
    how: dict[str, Any] = (
        {"temperature": command.temperature, "top_k": command.top_k, "top_p": command.top_p, "do_sample": True}
        if drawing
        else {"num_beam_groups": command.num_beam_groups, "diversity_penalty": command.diversity_penalty}
    )
    answers = ender.generate(
        contexts,
        num_return_sequences=command.num,
        num_beams=command.num_beams,
        rerank="discriminator" if command.rerank and ender.has_discriminator else None,
        candidates=command.num if drawing else max(command.num, command.num_beams),
        distinct=command.distinct,
        seed=command.seed,
        batch_size=command.batch_size,
        **how,
    )
    for context, answer in zip(contexts, answers, strict=True):
        endings = answer if isinstance(answer, list) else [answer]
        if command.format == "jsonl":
            print(json.dumps({"context": context, "endings": [vars(ending) for ending in endings]}, ensure_ascii=False))
            continue
        if len(contexts) > 1:
            print(context if isinstance(context, str) else " ".join(context))
        for ending in endings:
            print(f"{ending.log_prob if ending.score is None else ending.score:7.3f}  {ending.text}")


def _contexts(command: Generate) -> Iterator[Any]:
    if command.file is not None and command.stories:
        raise UserError(f"--file {command.file} and STORY are both given; one of them is accepted")
    if command.file is not None:
        from textgan.data.stories import open_story_source

        for story, _ in open_story_source(str(command.file)).rows():
            yield story.sentences
        return
    found = False
    for line in command.stories or sys.stdin:
        if line.strip():
            found = True
            yield line.strip()
    if not found:
        raise UserError("there is no story: give one in quotes, --file, or one a line on standard input")


def choose(command: Choose) -> None:
    from textgan.data.stories import open_cloze, open_stories
    from textgan.stories.ender import StoryEnder
    from textgan.stories.table import cloze_table

    if command.story is not None and command.cloze is not None:
        raise UserError(f"--story and {command.cloze} are both given; one of them is accepted")
    if command.story is None and command.endings:
        raise UserError(f"--endings {' '.join(command.endings)} are of no story; --story is missing")
    ender = StoryEnder.from_pretrained(command.run, command.device)
    if command.story is not None:
        choice = ender.choose(command.story, list(command.endings), by=command.by)
        for i, (ending, score) in enumerate(zip(command.endings, choice.scores, strict=True)):
            print(f"{'->' if i == choice.index else '  '} {score:8.4f}  {ending}")
        return
    cloze = (
        open_cloze(command.cloze) if command.cloze else open_stories(ender.settings.corpus, ender.settings.data).cloze
    )
    if not cloze:
        raise UserError(f"the corpus {ender.settings.corpus} has no cloze test; give a CLOZE.csv or --story")
    choices = ender.choose([story.sentences for story in cloze], [list(s.endings) for s in cloze], by=command.by)
    for story, choice in zip(cloze, choices, strict=True):
        print(f"{story.name}\t{choice.index + 1}\t{choice.ending}")
    for name, score in cloze_table({"model": ender}, cloze).items():
        print(f"{score.value:.4f}  {name}  {score.signature}", file=sys.stderr)


def evaluate(command: Evaluate) -> None:
    from textgan.checkpoint import write_atomically
    from textgan.data.stories import open_cloze, open_stories, open_story_source
    from textgan.stories.ender import StoryEnder
    from textgan.stories.table import Judge, as_markdown, cloze_table, controls, systems, table

    if not command.runs:
        raise UserError(f"RUN is missing: the folder of one run or more. See {PROG} evaluate --help")
    if command.num < 1:
        raise UserError(f"--num is {command.num}; it must be at least 1")
    command_line.check_writable("--json", command.json)
    names = [folder.resolve().name for folder in command.runs]
    labels = names if len(set(names)) == len(names) else list(map(str, command.runs))
    enders = {
        label: StoryEnder.from_pretrained(folder, command.device)
        for label, folder in zip(labels, command.runs, strict=True)
    }
    first = next(iter(enders.values()))
    corpus = open_stories(first.settings.corpus, first.settings.data)
    stories = corpus.test.stories(command.num)
    if command.stories is not None:
        stories = [story for story, _ in islice(open_story_source(str(command.stories)).rows(), command.num)]
    cloze = open_cloze(command.cloze) if command.cloze else corpus.cloze
    judge = Judge.of(corpus, progress=_say_epoch) if command.judge else None
    rows = controls(stories, corpus.train.stories())
    for name, ender in enders.items():
        for row in systems(name, ender, stories, command.protocol):
            print(f"written: {row.name}", file=sys.stderr, flush=True)
            rows.append(row)
    found = table(rows, stories, corpus, judge)
    print(as_markdown(found))
    if judge is not None:
        print(f"\njudge: prefers a held-out story's own ending to another's in {judge.accuracy.value:.3f}")
    chosen = cloze_table(enders, cloze)
    if chosen:
        print("\n| cloze | accuracy |\n|---|---:|")
    for name, score in chosen.items():
        print(f"| {name} | {score.value:.4f} |")
    if command.json is not None:
        content: dict[str, Any] = {
            name: {metric: score.as_dict() for metric, score in scores.items()} for name, scores in found.items()
        }
        content["cloze"] = {name: score.as_dict() for name, score in chosen.items()}
        write_atomically(command.json, json.dumps(content, indent=1) + "\n")


def _say_epoch(epoch: int, loss: float) -> None:
    print(f"judge: epoch {epoch}, held-out loss {loss:.4f}", file=sys.stderr, flush=True)


def serve(command: Serve) -> None:
    from textgan.stories import demo
    from textgan.stories.ender import StoryEnder

    demo.serve(StoryEnder.from_pretrained(command.run, command.device), command.host, command.port)


COMMANDS: dict[str, tuple[Any, Callable[[Any], None]]] = {
    "generate": (Generate, generate),
    "choose": (Choose, choose),
    "evaluate": (Evaluate, evaluate),
    "serve": (Serve, serve),
}


def main(args: list[str]) -> None:
    if not args or args[0] in ("-h", "--help"):
        print(USAGE)
        return
    name, *flags = args
    if name == "train":
        from textgan.train import main as train

        train(["story_ending", *flags])
        return
    if name not in COMMANDS:
        raise UserError(f"there is no command {name!r}; there are: train, {', '.join(COMMANDS)}")
    kind, act = COMMANDS[name]
    act(command_line.parse(kind, flags, f"{PROG} {name}"))


if __name__ == "__main__":
    command_line.run(main)
