"""What a computation needs at least on a machine: time for its arithmetic, and time to move its data.

The *arithmetic floor* is the floating-point operations of matrix products, convolutions, recurrent layers and attention
(2 a multiplication and addition; nothing else is counted), divided by the rate that the machine reaches in a large
matrix product. The *memory floor* is the bytes that must be moved whatever the kernels are, divided by the rate at
which the machine copies. The floor is the larger of the two. Both rates are measured, not taken from a data sheet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from textgan.stopwatch import seconds_of


@dataclass(frozen=True)
class Cost:
    """What a computation needs, whatever it runs on."""

    flops: int | float = 0
    """Floating-point operations."""
    moved: int | float = 0
    """Bytes read or written."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.moved + other.moved)

    def times(self, n: int | float) -> Cost:
        """That of the same computation `n` times over."""
        return Cost(n * self.flops, n * self.moved)


@dataclass(frozen=True)
class Speeds:
    """What a machine can do."""

    flops: float
    """Floating-point operations a second in a large matrix product."""
    moved: float
    """Bytes a second, read and written, in a large copy."""

    def floor(self, cost: Cost) -> float:
        """Seconds that `cost` takes at least."""
        return max(cost.flops / self.flops, cost.moved / self.moved)


def measured_speeds(
    device: torch.device,
    dtypes: Sequence[torch.dtype] = (torch.float32,),
    size: int | None = None,
    numbers: int | None = None,
    repeats: int = 5,
) -> Speeds:
    """The best of `repeats` products of square matrices, of the fastest of `dtypes`, and of as many copies.

    `size` is the side of the matrices (default 2048; on a GPU 8192), `numbers` the float32 numbers that are copied
    (default 2^25; on a GPU 2^28), more than any cache holds.
    """
    gpu = device.type == "cuda"
    products = [_product_rate(device, dtype, size or (8192 if gpu else 2048), repeats) for dtype in dtypes]
    source = torch.zeros(numbers or (2**28 if gpu else 2**25), device=device)
    target = torch.zeros_like(source)  # of zeros, so that its pages are there before it is written
    seconds = min(seconds_of(lambda: target.copy_(source), device, repeats + 1)[1:])
    return Speeds(max(products), 2 * _bytes(source) / seconds)


def _product_rate(device: torch.device, dtype: torch.dtype, size: int, repeats: int) -> float:
    a, b = torch.rand(2, size, size, device=device).to(dtype)
    product = torch.empty_like(a)
    return 2 * size**3 / min(seconds_of(lambda: torch.mm(a, b, out=product), device, repeats + 1)[1:])


def counted(call: Callable[[], Any]) -> tuple[Cost, Any]:
    """What a call costs, and what it returns."""
    counter = Counter()
    result = counter.run(call)
    return counter.cost, result


class Counter:
    """Counts what `run` runs, once or several times, as one computation.

    Bytes are those that no kernel, however it is fused, is spared: each tensor that is there before is read once (of a
    table from which rows are picked, as many rows as are picked) and, if it is changed, written once; what is still
    there at the end is written once; and what the forward pass keeps for the backward pass is written and read once.
    Every other tensor made on the way may stay in registers and caches.

    Kernels that torch does not dispatch one by one (a CUDA graph that is replayed, a Triton kernel) are not seen.
    """

    def __init__(self) -> None:
        self._flops = 0
        self._traffic = _Traffic()

    def run(self, call: Callable[[], Any]) -> Any:
        """Call, count, and return what the call returns."""
        flops = FlopCounterMode(display=False, custom_mapping=FORMULAS)
        flops.mod_tracker = _NoModules()  # type: ignore[assignment]
        with flops, self._traffic, saved_tensors_hooks(self._traffic.keep, lambda kept: kept):
            result = call()
        self._flops += flops.get_total_flops()
        return result

    @property
    def cost(self) -> Cost:
        """Of all so far, given what is still there now."""
        return Cost(self._flops, self._traffic.moved)


class _NoModules:
    """In place of torch's tracker of modules, whose hooks fail where a loss takes a gradient in its own inputs (R1)."""

    parents = ("Global",)

    def __enter__(self) -> None: ...
    def __exit__(self, *_: Any) -> None: ...


aten = torch.ops.aten


def _layer_flops(inputs: Sequence[int], *weights: Sequence[int], backward: bool = False) -> int:
    """Of a recurrent layer: each position is multiplied by each weight matrix; and by it twice more going backwards."""
    positions = prod(inputs[:-1])
    return (4 if backward else 2) * positions * sum(prod(weight) for weight in weights if len(weight) == 2)


def _onednn_rnn(inputs: Sequence[int], *others: Any, **_: Any) -> int:
    return _layer_flops(inputs, *others[:4])


def _onednn_rnn_backward(inputs: Sequence[int], *others: Any, **_: Any) -> int:
    return _layer_flops(inputs, *others[:4], backward=True)


def _cudnn_rnn(inputs: Sequence[int], weights: Sequence[Sequence[int]], *_: Any, **__: Any) -> int:
    return _layer_flops(inputs, *weights)


def _cudnn_rnn_backward(inputs: Sequence[int], weights: Sequence[Sequence[int]], *_: Any, **__: Any) -> int:
    return _layer_flops(inputs, *weights, backward=True)


def _attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    """Two products: queries with keys, weights with values. Shapes ``(B, heads, positions, width)``."""
    return 2 * prod(query[:3]) * key[2] * (query[3] + value[3])


def _attention_backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """Five products: the weights again, and two gradients of each of the two."""
    return 2 * prod(query[:3]) * key[2] * (3 * query[3] + 2 * value[3])


FORMULAS: dict[Any, Callable[..., int]] = {
    aten.mkldnn_rnn_layer: _onednn_rnn,
    aten.mkldnn_rnn_layer_backward: _onednn_rnn_backward,
    aten._cudnn_rnn: _cudnn_rnn,
    aten._cudnn_rnn_backward: _cudnn_rnn_backward,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
"""Operations of ours that torch's counter has no formula for; each is given shapes in place of tensors."""

PICKING = {aten.embedding, aten.index, aten.index_select, aten.gather}
"""Operations that read no more of their first tensor than they return."""
OVERWRITING = {aten.copy_, aten.zero_, aten.fill_, aten.uniform_, aten.normal_, aten.random_}
"""Operations that write a tensor without reading it."""


class _Traffic(TorchDispatchMode):
    """Sees every operation. A storage is known by its address, which a weak reference keeps from being used again."""

    def __init__(self) -> None:
        super().__init__()
        self._references: dict[int, StorageWeakRef] = {}
        self._made: dict[int, int] = {}  # bytes of the storages that were made inside
        self._read: dict[int, int] = {}
        self._written: dict[int, int] = {}
        self._kept: dict[int, int] = {}

    @property
    def moved(self) -> int:
        alive = (size for key, size in self._made.items() if not self._references[key].expired())
        return sum(self._read.values()) + sum(self._written.values()) + sum(alive) + 2 * sum(self._kept.values())

    def keep(self, tensor: Tensor) -> Tensor:
        """A tensor is kept for the backward pass."""
        key = self._key(tensor)
        if key in self._made:
            _add(self._kept, key, tensor, _bytes(tensor))
        return tensor

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        before = [(argument, _tensors(_given(function, place, argument, args, kwargs)))
                  for place, argument in enumerate(function._schema.arguments)]  # fmt: skip
        outside = {self._key(t) for _, tensors in before for t in tensors} - self._made.keys()
        result = function(*args, **kwargs)
        made = _tensors(result)
        for tensor in made:
            key = self._key(tensor)
            if key not in outside:
                self._made.setdefault(key, tensor.untyped_storage().nbytes())
        if _only_looks(function):
            return result
        for place, (argument, tensors) in enumerate(before):
            is_written = argument.alias_info is not None and argument.alias_info.is_write
            is_read = not (is_written and (argument.is_out or function.overloadpacket in OVERWRITING))
            picked = sum(map(_bytes, made)) if place == 0 and function.overloadpacket in PICKING else None
            for tensor in tensors:
                key = self._key(tensor)
                if key in outside and is_read:
                    _add(self._read, key, tensor, _bytes(tensor) if picked is None else picked)
                if key in outside and is_written:
                    _add(self._written, key, tensor, _bytes(tensor))
        return result

    def _key(self, tensor: Tensor) -> int:
        reference = StorageWeakRef(tensor.untyped_storage())
        return self._references.setdefault(reference.cdata, reference).cdata


def _given(function: Any, place: int, argument: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    return args[place] if place < len(args) else kwargs.get(argument.name)


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _only_looks(function: Any) -> bool:
    """Whether the result is another view of an argument: nothing is moved."""
    infos: Iterable[Any] = (returned.alias_info for returned in function._schema.returns)
    return any(info is not None and not info.is_write for info in infos)


def _add(counts: dict[int, int], key: int, tensor: Tensor, size: int) -> None:
    """Add bytes of a storage; it has no more than it has."""
    counts[key] = min(tensor.untyped_storage().nbytes(), counts.get(key, 0) + size)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
