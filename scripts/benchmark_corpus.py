"""Measures what a corpus's size costs: it is made on the spot, prepared, and trained on for a fixed number of steps.

    python scripts/benchmark_corpus.py --out results/corpus

Sentences are generated like captions (a Markov chain over 6,000 words) into a text file, which goes through everything
that ``python -m textgan.train mle`` does: preparation into the cache, controls, steps of maximum likelihood, test
scores at temperature 1, report. Preparation and training are processes of their own, so that each peak of memory is its
own. Two are told: the largest resident set, in which the pages of memory-mapped files count that the system may drop at
any time, and the largest anonymous part of it, which it cannot. Linux only.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from textgan import command_line
from textgan.memory import keep_freed_memory
from textgan.scaling import Captions, exponent, markdown_table, write_results
from textgan.stopwatch import machine

CHUNK = 100_000
"""Sentences that are generated at once."""
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Options:
    """Which sizes, and what is done with each."""

    sizes: tuple[int, ...] = (100_000, 1_000_000, 10_000_000)
    """Sentences of each corpus."""
    steps: int = 500
    """Steps of maximum likelihood on each."""
    batch_size: int = 64
    """Sentences a step."""
    threads: int = 1
    """Threads of torch."""
    seed: int = 0
    """Of the generated sentences and of the training."""
    work: Path | None = None
    """Folder for the corpora and their caches, which are removed at the end. None: a temporary one. A corpus of 10
    million sentences needs 2.5 GB there."""
    out: Path | None = None
    """Results are also written to OUT.json and OUT.md, after every size."""


class Peaks:
    """A context manager that watches the memory of its process (in bytes): `resident` and, of it, `anonymous`."""

    def __init__(self, every: float = 0.02) -> None:
        """`every`: seconds between two looks at the anonymous memory, whose peak the system does not keep."""
        self.resident = self.anonymous = 0
        self._every = every
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._stopped.wait(self._every):
            self._look()

    def _look(self) -> None:
        memory = memory_of(STATUS.read_text(encoding="ascii"))
        self.resident = memory["VmHWM"]
        self.anonymous = max(self.anonymous, memory["RssAnon"])


def memory_of(status: str) -> dict[str, int]:
    """The entries of a Linux process's status that are sizes, in bytes."""
    entries = (line.split() for line in status.splitlines())
    return {entry[0].rstrip(":"): 1024 * int(entry[1]) for entry in entries if entry[-1] == "kB"}


def write_corpus(path: Path, size: int, seed: int) -> None:
    """A text file of so many generated sentences, one a line."""
    captions = Captions(seed)
    with path.open("w", encoding="utf-8") as file:
        for begin in range(0, size, CHUNK):
            file.writelines(f"{' '.join(words)}\n" for words in captions.draw(min(CHUNK, size - begin)))


def bytes_of(folder: Path) -> int:
    """Of all files in a folder and below."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def prepared(corpus: Path, cache: Path) -> dict[str, float]:
    """Prepares the corpus into an empty cache: seconds, peaks, bytes on disk, sentences to train on."""
    import datasets  # noqa: F401  # so that its import is not timed

    from textgan.data import open_corpus

    os.environ["TEXTGAN_CACHE"] = str(cache)
    with Peaks() as peaks:
        started = time.perf_counter()
        opened = open_corpus(str(corpus))
        seconds = time.perf_counter() - started
    return {
        "prepare_seconds": seconds,
        "prepare_resident": peaks.resident,
        "prepare_anonymous": peaks.anonymous,
        "cache_bytes": bytes_of(cache),
        "train": len(opened.train),
        "vocabulary": opened.spec.vocab_size,
    }


def trained(corpus: Path, cache: Path, run: Path, options: Options) -> dict[str, float]:
    """Trains on the prepared corpus, from opening it to the report: seconds, seconds a step, peaks."""
    from textgan.config import train_command
    from textgan.experiment import play, prepare, run_folder
    from textgan.registry import find

    os.environ["TEXTGAN_CACHE"] = str(cache)
    keep_freed_memory()  # as the command lines do
    torch.set_num_threads(options.threads)
    entry = find("mle")
    asked = {
        "corpus": str(corpus),
        "run": str(run),
        "seed": options.seed,
        "game": {"epochs": 1, "batch_size": options.batch_size},
        "trainer": {"evaluations": 1, "device": "cpu"},
        "evaluation": {"temperatures": [1.0]},
    }
    command = train_command(entry, asked, "benchmark_corpus.py")
    with Peaks() as peaks:
        started = time.perf_counter()
        parts = prepare(entry, command.settings)
        opening = time.perf_counter() - started
        # The plan is that of a corpus which one epoch of so many steps goes through; batches are of the whole corpus.
        spec = dataclasses.replace(parts.corpus.spec, train_size=options.steps * options.batch_size)
        parts = dataclasses.replace(parts, game=entry.game(parts.settings.game, spec))
        play(entry, parts, run_folder(entry, command, parts))
        seconds = time.perf_counter() - started
    return {
        "open_seconds": opening,
        "train_seconds": seconds,
        "step_seconds": seconds_a_step((run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()),
        "train_resident": peaks.resident,
        "train_anonymous": peaks.anonymous,
    }


def seconds_a_step(records: Sequence[str]) -> float:
    """Mean of the steps between the first record of losses and the last, from the lines of a run's log."""
    losses = [record for record in map(json.loads, records) if record["kind"] == "loss"]
    first, last = losses[0], losses[-1]
    return (last["seconds"] - first["seconds"]) / (last["step"] - first["step"])


def apart(call: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    """What `call` returns in a fresh process, which ends with it."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, call, arguments), daemon=True)
    process.start()
    sender.close()
    try:
        found: dict[str, float] = receiver.recv()
    except EOFError:
        process.join()
        raise SystemExit(f"{call.__name__}: its process ended with {process.exitcode}") from None
    process.join()
    return found


def _send(sender: Connection, call: Callable[..., dict[str, float]], arguments: Sequence[Any]) -> None:
    sender.send(call(*arguments))


def measure(size: int, options: Options, work: Path) -> dict[str, float]:
    """One row: a corpus of `size` sentences is made, prepared and trained on, in folders that are removed."""
    with TemporaryDirectory(dir=work) as name:
        folder = Path(name)
        corpus, cache = folder / "corpus.txt", folder / "cache"
        started = time.perf_counter()
        write_corpus(corpus, size, options.seed)
        made = time.perf_counter() - started
        row = {"sentences": size, "make_seconds": made, "text_bytes": corpus.stat().st_size}
        row |= apart(prepared, corpus, cache)
        return row | apart(trained, corpus, cache, folder / "run", options)


def table(rows: Sequence[Mapping[str, float]]) -> str:
    """The measurements as Markdown; memory and disk in MB of a million bytes."""
    return markdown_table(
        [
            {
                "sentences": f"{row['sentences']:,}",
                "prepare s": f"{row['prepare_seconds']:.1f}",
                "sentences/s": f"{row['sentences'] / row['prepare_seconds']:,.0f}",
                "text MB": f"{row['text_bytes'] / 1e6:,.1f}",
                "cache MB": f"{row['cache_bytes'] / 1e6:,.1f}",
                "prepare peak MB (anonymous)": _peaks(row, "prepare"),
                "train peak MB (anonymous)": _peaks(row, "train"),
                "ms a step": f"{row['step_seconds'] * 1e3:.2f}",
            }
            for row in rows
        ]
    )


def growth(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """From the smallest size to the largest: bytes of anonymous memory a sentence, and exponents of time."""
    first, last = rows[0], rows[-1]
    more = last["sentences"] - first["sentences"]
    found = {
        f"{what}_bytes_a_sentence": (last[f"{what}_anonymous"] - first[f"{what}_anonymous"]) / more
        for what in ("prepare", "train")
    }
    sizes = [row["sentences"] for row in rows]
    found |= {
        f"{what}_exponent": exponent(sizes, [row[f"{what}_seconds"] for row in rows]) for what in ("prepare", "step")
    }
    return found


def text_of(rows: Sequence[Mapping[str, float]], options: Options, described: Mapping[str, Any]) -> str:
    """The page of results."""
    page = (
        f"`python scripts/benchmark_corpus.py`: generated sentences, {options.steps} steps of `mle` with "
        f"{options.batch_size} sentences each, {options.threads} thread(s) of {described['cpu']}\n\n{table(rows)}"
    )
    if len(rows) > 1:
        grown = growth(rows)
        page += (
            f"\nAnonymous memory grows by {grown['prepare_bytes_a_sentence']:.1f} bytes a sentence in preparation and "
            f"by {grown['train_bytes_a_sentence']:.1f} in training; seconds of preparation ~ "
            f"sentences^{grown['prepare_exponent']:.2f}, of a step ~ sentences^{grown['step_exponent']:.2f}.\n"
        )
    return page


def _peaks(row: Mapping[str, float], what: str) -> str:
    return f"{row[f'{what}_resident'] / 1e6:,.0f} ({row[f'{what}_anonymous'] / 1e6:,.0f})"


def main(args: list[str]) -> None:
    options: Options = command_line.parse(Options, args, "python scripts/benchmark_corpus.py", __doc__)
    described = machine(torch.device("cpu"))
    rows: list[dict[str, float]] = []
    with TemporaryDirectory(dir=options.work) as work:
        for size in sorted(options.sizes):
            rows.append(measure(size, options, Path(work)))
            page = text_of(rows, options, described)
            print(page, flush=True)
            if options.out is not None:
                asked = {"steps": options.steps, "batch_size": options.batch_size, "threads": options.threads}
                results = {"machine": described, **asked, "seed": options.seed, "rows": rows}
                write_results(options.out, results | (growth(rows) if len(rows) > 1 else {}), page)


if __name__ == "__main__":
    command_line.run(main)
