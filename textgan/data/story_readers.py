"""Stories of five sentences, and prompts with answers, out of the files they come in, one at a time, and every fault of
a row said in one line.

A record is a row of a table, an object of a ``.jsonl`` file or a row of a hub dataset, its keys in lower case. Three
shapes of a record are a story: ``sentence1`` to ``sentence5`` (the official CSV), ``InputSentence1`` to ``4`` with the
endings ``RandomFifthSentenceQuiz1`` and ``2`` and ``AnswerRightEnding`` (the cloze CSV), and ``sentences``, or
``context`` with ``ending`` (JSONL). A text file has one story a line: five sentences, or five columns between tabs.

A ``prompt`` with its ``answer`` is a story whose context is one text, however many sentences that has. The prompt may
be called ``question`` or ``instruction`` (to which an ``input`` is added, a line below), the answer ``response``,
``completion`` or ``output``. Both keep their lines and indents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textgan.data import readers
from textgan.data.sentences import split_sentences
from textgan.errors import UserError

SENTENCES = 4
"""S: sentences of a context."""
OFFICIAL = [f"sentence{i}" for i in range(1, SENTENCES + 2)]
CONTEXT = [f"inputsentence{i}" for i in range(1, SENTENCES + 1)]
QUIZ = ["randomfifthsentencequiz1", "randomfifthsentencequiz2"]
ANSWER = "answerrightending"
PROMPTS = ["prompt", "question", "instruction"]
ANSWERS = ["answer", "response", "completion", "output"]
NAMES = ["storyid", "inputstoryid", "id"]
ACCEPTED = (
    "sentence1 to sentence5, or InputSentence1 to InputSentence4 with RandomFifthSentenceQuiz1 and 2 and "
    "AnswerRightEnding, or sentences, or context and ending, or prompt and answer"
)


@dataclass(frozen=True)
class Story:
    """A story as people write it."""

    sentences: tuple[str, ...]
    """The context: four sentences, or a prompt."""
    ending: str
    name: str = ""


@dataclass(frozen=True)
class Cloze:
    """A context and two endings to choose from."""

    sentences: tuple[str, ...]
    endings: tuple[str, str]
    answer: int | None
    """Which ending is right, 0 or 1. None: not told."""
    name: str = ""


Told = tuple[Story, str]
"""A story, and a wrong ending of it where the corpus has one, else an empty string."""
Record = tuple[str, Mapping[str, Any]]
"""Where it stands ("FILE, line 3"), and its values by key in lower case."""


def read_stories(path: Path) -> Iterator[Told]:
    """The stories of a file, by its ending. Raises UserError, naming the line, for what is no story."""
    ending = path.suffix.lower()
    if ending == ".txt" or (ending == ".tsv" and not _has_header(path)):
        return ((_line_story(where, text), "") for where, text in _text_lines(path))
    return ((_story(where, record), "") for where, record in file_records(path))


def tell_stories(size: int, seed: int, rules: Mapping[str, Any]) -> Iterator[Told]:
    """The story world's stories, each with one of its wrong endings: every kind of mistake has its turn."""
    from textgan.data.story_world import StoryWorld

    for i, told in enumerate(StoryWorld(rules).tell(size, seed)):
        yield Story(told.sentences, told.ending), told.wrong[i % len(told.wrong)].text


KINDS: dict[str, Callable[..., Iterator[Told]]] = {"stories": read_stories, "story_world": tell_stories}
"""The kinds of cards that tell stories."""


def hub_stories(name: str) -> tuple[str, Callable[[], Iterator[Told]]]:
    """The training split of a hub dataset, whose columns are those of a record: its fingerprint and its stories."""
    data = readers.hub_split(name)

    def rows() -> Iterator[Told]:
        for i, row in enumerate(data, start=1):
            yield _story(f"hf:{name}, row {i}", {key.lower(): value for key, value in row.items()}), ""

    return data._fingerprint, rows


def read_cloze(path: Path) -> Iterator[Cloze]:
    """The choices of a cloze file (``.csv``, ``.tsv`` or ``.jsonl``). Raises UserError, naming the line, for others."""
    for where, record in file_records(path):
        if not {*CONTEXT, *QUIZ} <= record.keys():
            raise UserError(
                f"{where}: no story cloze: InputSentence1 to InputSentence4, RandomFifthSentenceQuiz1 and 2 and, where "
                f"the answer is known, AnswerRightEnding are accepted; found: {', '.join(record)}"
            )
        context, endings = _sentences(where, record, CONTEXT), _sentences(where, record, QUIZ)
        yield Cloze(tuple(context), (endings[0], endings[1]), _answer(where, record), _name(record))


def file_records(path: Path) -> Iterator[Record]:
    """The records of a ``.csv``, ``.tsv`` or ``.jsonl`` file."""
    ending = path.suffix.lower()
    if ending not in readers.ENDINGS or ending == ".txt":
        readers.require_file(path)
        raise UserError(f"{path}: unknown ending {ending!r}; .csv, .tsv and .jsonl are accepted here")
    rows = readers.json_objects(path) if ending == ".jsonl" else readers.table_records(path, nameless=False)
    for number, row in rows:
        yield f"{path}, line {number}", {key.strip().lower(): value for key, value in row.items()}


def _story(where: str, record: Mapping[str, Any]) -> Story:
    if OFFICIAL[0] in record:
        found = _sentences(where, record, OFFICIAL)
    elif CONTEXT[0] in record:
        answer = _answer(where, record)
        if answer is None:
            raise UserError(
                f"{where}: AnswerRightEnding is missing, and without it there is no ending; 1 or 2 is accepted"
            )
        found = _sentences(where, record, [*CONTEXT, QUIZ[answer]])
    elif "sentences" in record:
        found = _list(where, record["sentences"], SENTENCES + 1, "sentences")
    elif "context" in record:
        context = record["context"]
        if isinstance(context, str):
            context = split_sentences(context)
        found = [*_list(where, context, SENTENCES, "context"), *_sentences(where, record, ["ending"])]
    elif {*PROMPTS, *ANSWERS} & record.keys():
        found = _prompt(where, record)
    else:
        raise UserError(f"{where}: no story: {ACCEPTED} are accepted; found: {', '.join(record)}")
    return Story(tuple(found[:-1]), found[-1], _name(record))


def _prompt(where: str, record: Mapping[str, Any]) -> list[str]:
    """A prompt and its answer."""
    found = []
    for keys in (PROMPTS, ANSWERS):
        key = next((key for key in keys if record.get(key) is not None), None)
        if key is None:
            raise UserError(f"{where}: {' or '.join(keys)} missing; a prompt and its answer are accepted")
        found.append(_text(f"{where}: {key}", record[key], "a prompt and its answer"))
        if key == "instruction" and record.get("input"):
            found[0] += "\n" + _text(f"{where}: input", record["input"], "an instruction and its input")
    return found


def _line_story(where: str, text: str) -> Story:
    parts = text.split("\t") if "\t" in text else split_sentences(text)
    found = _list(where, parts, SENTENCES + 1, "story")
    return Story(tuple(found[:-1]), found[-1])


def _text_lines(path: Path) -> Iterator[tuple[str, str]]:
    numbered = enumerate(readers.lines(path), start=1)
    return ((f"{path}, line {number}", line.strip(" \r")) for number, line in numbered if line.strip())


def _has_header(path: Path) -> bool:
    first = next(readers.lines(path), "").lower().split("\t")
    prompts = {*PROMPTS} & {*first} and {*ANSWERS} & {*first}
    return OFFICIAL[0] in first or CONTEXT[0] in first or bool(prompts)


def _sentences(where: str, record: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    missing = [key for key in keys if record.get(key) is None]
    if missing:
        raise UserError(f"{where}: {', '.join(missing)} missing; {ACCEPTED} are accepted")
    return [_sentence(f"{where}: {key}", record[key]) for key in keys]


def _list(where: str, parts: Any, wanted: int, what: str) -> list[str]:
    if not isinstance(parts, list):
        raise UserError(f"{where}: {what} is not a list of sentences but {type(parts).__name__}")
    if len(parts) != wanted:
        accepted = f"{wanted} sentences" if wanted == SENTENCES else f"{SENTENCES} sentences and an ending"
        raise UserError(f"{where}: {accepted} are accepted, found {len(parts)}")
    return [_sentence(f"{where}: sentence {i}", part) for i, part in enumerate(parts, start=1)]


def _sentence(where: str, text: Any) -> str:
    return " ".join(_text(where, text, f"{SENTENCES} sentences and an ending").split())


def _text(where: str, text: Any, accepted: str) -> str:
    if not isinstance(text, str):
        raise UserError(f"{where} is not text but {type(text).__name__}")
    if "\0" in text:
        raise UserError(f"{where} has NUL bytes; this is not text")
    if len(text) > readers.LINE_CAP:
        raise UserError(f"{where} is longer than {readers.LINE_CAP:,} characters")
    if not any(character.isprintable() and not character.isspace() for character in text):
        raise UserError(f"{where} is empty; {accepted} are accepted, none of them empty")
    return text.replace("\r\n", "\n").strip()


def _answer(where: str, record: Mapping[str, Any]) -> int | None:
    said = record.get(ANSWER)
    text = "" if said is None else str(said).strip()
    if text not in ("", "1", "2"):
        raise UserError(f"{where}: AnswerRightEnding is {text!r}; 1, 2 or nothing is accepted")
    return int(text) - 1 if text else None


def _name(record: Mapping[str, Any]) -> str:
    return next((str(record[key]) for key in NAMES if record.get(key)), "")
