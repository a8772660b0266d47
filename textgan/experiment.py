"""From settings to a trained run: opens the data, builds the game, plays it, writes down what came of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from textgan.checkpoint import CheckpointStore, write_atomically
from textgan.collapse import Collapsed, CollapseWatch
from textgan.config import Settings, TrainCommand, as_mapping, check_resumable
from textgan.data.batches import Batches
from textgan.domains import DOMAINS
from textgan.errors import UserError
from textgan.evaluation import Corpus, Scores, evaluation_of
from textgan.game import Game
from textgan.model_card import model_card
from textgan.processes import Alone, Processes, choose_device
from textgan.progress import Progress
from textgan.registry import Entry
from textgan.report import build_report
from textgan.reproducibility import seed_everything
from textgan.run import Run
from textgan.trainer import Measurement, Trainer


@dataclass(frozen=True)
class Parts:
    """What a run is made of, before anything is written."""

    settings: Settings
    """With the data's options as they were resolved."""
    corpus: Corpus
    game: Game
    processes: Processes
    """Those that play it. Each has the same parts."""


def prepare(entry: Entry, settings: Settings, processes: Processes | None = None) -> Parts:
    """Open the data, which the first process prepares, and build the game, seeded. Without `processes`, for one."""
    domain = DOMAINS[entry.game.data]
    processes = processes or Alone(choose_device(settings.trainer.device))
    if processes.size > 1:
        processes.from_first(lambda: bool(domain.open(settings)))
    corpus = domain.open(settings)
    seed_everything(settings.seed, settings.deterministic)
    game = entry.game(settings.game, corpus.spec)
    if settings.init is not None:
        start_from(Run.open(Path(settings.init)), game, corpus)
    trainer = dataclasses.replace(
        settings.trainer,
        best=settings.trainer.best or domain.best,
        shards=settings.trainer.shards or processes.size,
    )
    return Parts(dataclasses.replace(settings, data=corpus.config, trainer=trainer), corpus, game, processes)


def start_from(run: Run, game: Game, corpus: Corpus) -> None:
    """Give the game's networks the weights that networks of the same name have in a finished run.

    Raises:
        UserError: the run has not ended, learned from other tokens, or has no network in common with the game.
    """
    if not run.model_file.exists():
        raise UserError(f"--init {run.folder} has no {run.model_file.name}: that run has not ended")
    theirs = run.data()["tokens"]
    if theirs != corpus.signature:
        raise UserError(f"--init {run.folder} has the tokens {theirs}; here they are {corpus.signature}")
    weights = load_file(run.model_file)
    networks = {
        name: {key.removeprefix(f"{name}."): weight for key, weight in weights.items() if key.startswith(f"{name}.")}
        for name, module in game.named_children()
        if any(True for _ in module.parameters())
    }
    shared = {name: found for name, found in networks.items() if found}
    if not shared:
        raise UserError(f"--init {run.folder} has none of the networks {', '.join(networks)}")
    for name, found in shared.items():
        try:
            game.get_submodule(name).load_state_dict(found)
        except RuntimeError as error:
            raise UserError(
                f"--init {run.folder}: its {name} has other sizes: {' '.join(str(error).split())}"
            ) from error


def run_folder(entry: Entry, command: TrainCommand, parts: Parts) -> Run:
    """The run that the command asks for: a new folder, or the one to be resumed.

    Raises:
        UserError: the folder is taken, is not a run, or was begun with other options.
    """
    return parts.processes.from_first(lambda: _run_folder(entry, command, parts))


def _run_folder(entry: Entry, command: TrainCommand, parts: Parts) -> Run:
    if command.resume:
        assert command.run is not None  # or the command would not have been parsed
        run = Run.open(command.run)
        check_resumable(run.config(), as_mapping(entry.name, parts.settings), run.folder)
        if run.data_file.exists() and run.data() != _description(parts.corpus):
            raise UserError(f"{run.folder} cannot be resumed: the corpus {parts.settings.corpus} has changed since")
        return run
    return Run.create(command.run or _free_folder(f"{entry.name}-{parts.corpus.name}"))


def _free_folder(stem: str) -> Path:
    return next(path for n in count(1) if not (path := Path("runs") / f"{stem}-{n}").exists())


def play(entry: Entry, parts: Parts, run: Run, resume: bool = False) -> None:
    """Play the game to its end, or to a signal, and leave everything in the run's folder.

    Raises:
        Interrupted, NonFiniteLoss: see `Trainer.play`.
        Collapsed: see `Trainer.play`; the last good networks are the run's model. A run that was stopped so before is
            stopped again, for the same reason.
    """
    settings, corpus, processes = parts.settings, parts.corpus, parts.processes
    if processes.is_first and not (resume and run.data_file.exists()):
        _write_beginning(entry, parts, run)
    evaluation = evaluation_of(corpus, settings.evaluation) if processes.is_first else None
    writer = _Writer(run, settings.tensorboard) if processes.is_first else None
    trainer = Trainer(
        parts.game,
        Batches(corpus.train, settings.seed),
        settings.trainer,
        CheckpointStore(run.checkpoints_folder, settings.trainer.keep),
        writer.write if writer else lambda record: None,
        evaluation.measure if evaluation else _left_to_the_first,
        CollapseWatch(processes.from_first(lambda: evaluation.watched() if evaluation else {})),
        processes,
    )
    try:
        resumed = resume and trainer.resume()
        if writer and evaluation:
            run.forget_after(trainer.step if resumed else -1)  # -1: of a run killed before its first checkpoint
            if resumed:
                writer.event(f"resumed at step {trainer.step}", trainer.step, trainer.seconds)
            else:
                writer.controls(evaluation.controls())
        with Progress(trainer.steps, trainer.step, shown=processes.is_first) as progress:
            trainer.play(progress)
    except Collapsed:
        _write_end(entry, run, trainer, processes)
        raise
    if writer:
        writer.event("finished", trainer.step, trainer.seconds)
    _write_end(entry, run, trainer, processes)


def _left_to_the_first(game: Game, ends_stage: bool) -> Measurement:
    raise AssertionError("only the first process measures")


def _write_end(entry: Entry, run: Run, trainer: Trainer, processes: Processes) -> None:
    if not processes.is_first:
        return
    with trainer.averaged():
        run.write_model(trainer.game.state_dict())
    write_atomically(run.report_file, build_report([run.folder]))
    write_atomically(run.card_file, model_card(run, entry))


_BEGINNING = {"step": 0, "stage": "", "round": 0, "seconds": 0.0}


def _write_beginning(entry: Entry, parts: Parts, run: Run) -> None:
    run.write_config(as_mapping(entry.name, parts.settings))
    parts.corpus.save(run.folder)
    parts.game.describe(run.networks_folder)
    run.write_data(_description(parts.corpus))


def _description(corpus: Corpus) -> dict[str, Any]:
    described = {
        "name": corpus.name,
        "spec": dataclasses.asdict(corpus.spec),
        "tokens": corpus.signature,
        "report": corpus.report.as_dict(),
        "report_lines": corpus.report.lines(),
    }
    return json.loads(json.dumps(described))  # as it is read back: tuples are lists


class _Writer:
    """Sends each record where it belongs: samples to their folder, the rest to the log and to TensorBoard."""

    def __init__(self, run: Run, tensorboard: bool) -> None:
        self._run = run
        self._board = _tensorboard(run.folder) if tensorboard else None

    def write(self, record: dict[str, Any]) -> None:
        if record["kind"] == "samples":
            self._run.write_samples(record["step"], record["sentences"])
            return
        if record["kind"] == "sheet":
            self._run.write_sheet(record["name"] or str(record["step"]), record["picture"])
            return
        self._run.log(record)
        if self._board is not None:
            for name, value in _scalars(record).items():
                self._board.add_scalar(name, value, record["step"])

    def controls(self, measured: Mapping[str, Scores]) -> None:
        for name, scores in measured.items():
            plain = {metric: score.as_dict() for metric, score in scores.items()}
            self.write({"kind": "control", "name": name, "scores": plain} | _BEGINNING)

    def event(self, message: str, step: int, seconds: float) -> None:
        self.write({"kind": "event", "message": message, **_BEGINNING, "step": step, "seconds": round(seconds, 3)})


def _scalars(record: dict[str, Any]) -> dict[str, float]:
    if record["kind"] == "loss":
        return {f"{record['player']}/{name}": value for name, value in record["values"].items()}
    if record["kind"] == "metrics":
        return {f"metrics/{name}": score["value"] for name, score in record["scores"].items()}
    return {}


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError("--tensorboard needs the package tensorboard: pip install textgan[log]") from error
    return SummaryWriter(str(folder / "tensorboard"))
