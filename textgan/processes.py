"""The processes that play one run together: alone, or several by Lightning Fabric over torch's native DDP.

Every process holds all of the game and plays its shards of each batch (see `textgan.shards`). The gradient of a move is
averaged while the backward pass runs; everything else that the processes must agree on goes through the few methods
here. The first process is the one that measures, writes and speaks.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from textgan.errors import UserError
from textgan.openmp import share_threads

Result = TypeVar("Result")
Call = Callable[..., Any]

PATIENCE = timedelta(days=7)
"""How long a process waits for the first one, which may be measuring. One that has died is noticed at once."""


@runtime_checkable
class Processes(Protocol):
    """What the trainer asks of the processes that play a run."""

    rank: int
    """Of this process, from 0."""
    size: int
    """How many there are."""
    device: torch.device
    """What this process plays on."""

    @property
    def is_first(self) -> bool: ...

    def synchronised(self, game: nn.Module, mover: Sequence[nn.Parameter], last: bool) -> Any:
        """A context that gives how losses are called, ``(loss, part, turn) -> Loss``.

        After a backward pass inside, the mover's gradients, summed since they were set to None, are the means over the
        processes, if this is the `last` pass before the optimiser's step. Only the mover's weights may ask for one.
        """

    def mean(self, values: Sequence[Tensor]) -> None:
        """Puts means over the processes in the place of floating-point tensors."""

    def as_first(self, values: Sequence[Tensor]) -> None:
        """Puts the first process's tensors in the place of the others'."""

    def from_first(self, compute: Callable[[], Result], answer: Call | None = None) -> Result:
        """What the first process, which alone computes it, has found; or the `UserError` that it has met.

        Meanwhile the others `answer` what it may `ask`.
        """

    def ask(self, question: Any, answer: Call) -> list[Any]:
        """By the first process, inside `from_first`: what each process's ``answer(question)`` is, by rank."""

    def largest(self, number: int) -> int:
        """The largest number that any process has."""

    def require_same(self, values: Sequence[Tensor]) -> None:
        """Raises RuntimeError where the tensors are not the same on all processes, bit for bit (by their sums)."""

    def end(self) -> None:
        """Returns when all processes are here: none of them is needed any more."""


class Alone:
    """One process."""

    rank, size, is_first = 0, 1, True

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @contextmanager
    def synchronised(self, game: nn.Module, mover: Sequence[nn.Parameter], last: bool) -> Iterator[Call]:
        yield _call

    def mean(self, values: Sequence[Tensor]) -> None: ...
    def as_first(self, values: Sequence[Tensor]) -> None: ...
    def require_same(self, values: Sequence[Tensor]) -> None: ...
    def end(self) -> None: ...

    def from_first(self, compute: Callable[[], Result], answer: Call | None = None) -> Result:
        return compute()

    def ask(self, question: Any, answer: Call) -> list[Any]:
        return [answer(question)]

    def largest(self, number: int) -> int:
        return number


class Several:
    """Processes that Fabric has started, or found started by ``torchrun`` or a cluster's scheduler."""

    def __init__(self, device: str, devices: int, nodes: int) -> None:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies import DDPStrategy

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        strategy = DDPStrategy(find_unused_parameters=True, broadcast_buffers=False, timeout=PATIENCE)
        kind = device if device != "auto" else "cuda" if torch.cuda.device_count() >= devices else "cpu"
        if threads := share_threads(devices):
            torch.set_num_threads(threads)
        self._fabric = Fabric(accelerator=kind, devices=devices, num_nodes=nodes, strategy=strategy)
        self._fabric.launch()
        self.rank, self.size, self.device = self._fabric.global_rank, self._fabric.world_size, self._fabric.device
        self._host = torch.distributed.new_group(backend="gloo", timeout=PATIENCE)  # what is said needs no GPU
        self._movers: dict[tuple[int, ...], Any] = {}

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @contextmanager
    def synchronised(self, game: nn.Module, mover: Sequence[nn.Parameter], last: bool) -> Iterator[Call]:
        key = tuple(id(weight) for weight in mover)
        if key not in self._movers:  # only the mover's weights ask for gradients now, so these are what is averaged
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")  # for a newer name
                self._movers[key] = self._fabric.setup_module(_Mover(game), move_to_device=False)
        module = self._movers[key]
        with nullcontext() if last else self._fabric.no_backward_sync(module):
            yield module

    @torch.no_grad()
    def mean(self, values: Sequence[Tensor]) -> None:
        for some in _alike(values):
            row = torch.cat([value.reshape(-1) for value in some])
            torch.distributed.all_reduce(row)
            _write(row / self.size, some)

    @torch.no_grad()
    def as_first(self, values: Sequence[Tensor]) -> None:
        for some in _alike(values):
            row = torch.cat([value.reshape(-1) for value in some])
            torch.distributed.broadcast(row, 0)
            _write(row, some)

    @torch.no_grad()
    def require_same(self, values: Sequence[Tensor]) -> None:
        sums = torch.stack([value.double().sum() for value in values]).cpu()
        bounds = torch.stack([sums, -sums])
        torch.distributed.all_reduce(bounds, torch.distributed.ReduceOp.MAX, group=self._host)
        if not torch.equal(bounds[0], -bounds[1]):
            raise RuntimeError(f"process {self.rank + 1} of {self.size} has other networks than the others")

    def from_first(self, compute: Callable[[], Result], answer: Call | None = None) -> Result:
        if self.is_first:
            try:
                said = self._said("found", compute())
            except UserError as error:
                said = self._said("error", error)
        else:
            while (said := self._said())[0] == "question":
                assert answer is not None, "nobody can ask here"
                torch.distributed.gather_object(answer(said[1]), group=self._host)
        if said[0] == "error":
            raise said[1]
        return said[1]

    def ask(self, question: Any, answer: Call) -> list[Any]:
        self._said("question", question)
        answers: list[Any] = [None] * self.size
        torch.distributed.gather_object(answer(question), answers, group=self._host)
        return answers

    def largest(self, number: int) -> int:
        found = torch.tensor(number)
        torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MAX, group=self._host)
        return int(found)

    def _said(self, *words: Any) -> Any:
        """What the first process says."""
        said = [words]
        torch.distributed.broadcast_object_list(said, 0, group=self._host)
        return said[0]

    def end(self) -> None:
        torch.distributed.barrier(group=self._host)
        torch.distributed.destroy_process_group()


class _Mover(nn.Module):
    """The game, called with a loss: so every loss goes through DDP, whatever methods of whatever networks it calls."""

    def __init__(self, game: nn.Module) -> None:
        super().__init__()
        self.game = game

    def forward(self, loss: Call, *given: Any) -> Any:
        return loss(*given)


def join(device: str, devices: int, nodes: int) -> Processes:
    """This process among all that play the run, the others of which are started if they are not there yet.

    Args:
        device: auto, cpu, cuda or cuda:N, the last for one process alone.
        devices: processes on each machine, a device each. Told by ``torchrun`` where that started them.
        nodes: machines.

    Raises:
        UserError: `devices` do not go with the device, or Lightning Fabric is missing.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    if devices * nodes == 1:
        return Alone(choose_device(device))
    if device.startswith("cuda:"):
        raise UserError(
            f"device is {device!r} and the number of processes {devices * nodes}; it must be auto, cpu or cuda"
        )
    here = torch.cuda.device_count()
    if device == "cuda" and here < devices:
        raise UserError(f"trainer.devices is {devices}; the number of CUDA devices here is {here}")
    try:
        return Several(device, devices, nodes)
    except ImportError as error:
        raise UserError("several processes need Lightning Fabric: pip install textgan[dist]") from error


def choose_device(name: str) -> torch.device:
    """`name` as a torch device; "auto" is CUDA where there is one.

    Raises:
        UserError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UserError(f"device is {name!r}; it must be auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device is {name!r}; the number of CUDA devices here is {torch.cuda.device_count()}")
    return device


def is_loss_of_peer(error: RuntimeError) -> bool:
    """Whether an error says that another process has gone."""
    words = ("gloo", "Connection", "NCCL")
    return isinstance(error, torch.distributed.DistError) or any(word in str(error) for word in words)


def _call(loss: Call, *given: Any) -> Any:
    return loss(*given)


def _alike(values: Sequence[Tensor]) -> list[list[Tensor]]:
    """The tensors of each type."""
    kinds = dict.fromkeys(value.dtype for value in values)
    return [[value for value in values if value.dtype == kind] for kind in kinds]


def _write(row: Tensor, values: Sequence[Tensor]) -> None:
    for part, value in zip(row.split([value.numel() for value in values]), values, strict=True):
        value.copy_(part.view_as(value))
