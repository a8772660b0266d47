"""The Triton kernels, run by Triton's interpreter, against the plain way of drawing."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import warnings
from types import ModuleType

import pytest
import torch

if sys.platform != "linux":
    pytest.skip("Triton is there for Linux alone", allow_module_level=True)

import textgan
from tests import test_categorical
from tests.test_categorical import LARGEST, assert_distributed
from tests.test_policy_gradient import encode, lstm, oracle, text
from tests.triton_kernels import DEVICE
from textgan import categorical
from textgan.categorical import BLOCK, LOG2_E, Head, draw, draw_without_logits
from textgan.policy_gradient import rollout_rewards
from textgan.sampling import sample

CPU = torch.device("cpu")


@pytest.fixture
def kernels() -> ModuleType:
    from textgan import kernels

    return kernels


def head_of(rows: int, width: int, vocab: int) -> Head:
    return on_device(test_categorical.head_of(rows, width, vocab))


def on_device(head: Head) -> Head:
    return Head(*(part.to(DEVICE) for part in head))


@pytest.mark.parametrize(("width", "vocab"), [(3, 17), (16, 64), (40, 65), (33, 500)])
def test_block_sums_are_those_of_all_logits(kernels, width, vocab):
    head, scale = head_of(100, width, vocab), LOG2_E / 0.7
    largest, sums = kernels.block_sums(*head, scale, BLOCK)
    scores = torch.nn.functional.pad(head.logits.double() * scale, (0, -vocab % BLOCK), value=-torch.inf)
    scores = scores.unflatten(1, (-1, BLOCK))
    torch.testing.assert_close(largest.double(), scores.amax(2), rtol=1e-5, atol=1e-5)
    log_sums = largest.double() + sums.double().log2()
    torch.testing.assert_close(log_sums * math.log(2), (scores * math.log(2)).logsumexp(2), rtol=1e-5, atol=1e-5)


def test_a_block_without_a_possible_word_counts_nothing(kernels):
    head = head_of(20, 8, 3 * BLOCK)
    head.bias[BLOCK : 2 * BLOCK] = -torch.inf
    largest, sums = kernels.block_sums(*head, 1.0, BLOCK)
    assert (largest[:, 1] == -torch.inf).all()
    assert (sums[:, 1] == 0).all()
    tokens = draw_without_logits(kernels, head, 1.0, torch.linspace(0, LARGEST, 20, device=DEVICE), 20)
    assert head.logits.gather(1, tokens[:, None]).isfinite().all()


@pytest.mark.parametrize(
    ("width", "vocab", "temperature", "at_once"),
    [(3, 17, 1.0, 300), (32, 64, 0.6, 300), (40, 65, 1.0, 64), (33, 500, 0.6, 1000)],
)
def test_the_same_numbers_draw_the_same_tokens(kernels, width, vocab, temperature, at_once):
    head, uniforms = head_of(300, width, vocab), torch.rand(300, device=DEVICE)
    drawn = draw_without_logits(kernels, head, temperature, uniforms, at_once)
    function = (head.logits.double() / temperature).softmax(1).cumsum(1)
    clear = (function - uniforms[:, None]).abs().amin(1) > 1e-6  # fp32 cannot tell the two tokens at a boundary apart
    assert clear.double().mean() > 0.95
    assert torch.equal(drawn[clear], draw(head.logits, temperature, uniforms)[clear])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_outputs_of_lower_precision_are_multiplied_in_full(kernels, dtype):
    head, uniforms = head_of(100, 24, 90), torch.rand(100, device=DEVICE)
    rounded = head._replace(outputs=head.outputs.to(dtype))
    expected = draw(head._replace(outputs=rounded.outputs.float()).logits, uniforms=uniforms)
    assert torch.equal(draw_without_logits(kernels, rounded, 1.0, uniforms, 100), expected)


@pytest.mark.parametrize("uniform", [0.0, 1e-38, 2**-24, 0.5, LARGEST])
@pytest.mark.parametrize("place", [0, 63, 64, 199])
def test_the_only_possible_token_is_drawn_whatever_the_number(kernels, uniform, place):
    bias = torch.full((200,), -torch.inf)
    bias[place] = -3e4
    head = on_device(Head(torch.randn(5, 8), torch.randn(200, 8), bias))
    assert draw_without_logits(kernels, head, 1.0, torch.full((5,), uniform, device=DEVICE), 5).tolist() == [place] * 5


@pytest.mark.parametrize("rows", [pytest.param(1_000_000, marks=pytest.mark.slow), 50_000])
def test_draws_have_the_softmax_frequencies(kernels, rows):
    head = head_of(1, 5, 100)
    many = head._replace(outputs=head.outputs.expand(rows, -1))
    larger = {"rows_a_program": 2**10} if DEVICE.type == "cpu" else {}  # the interpreter is slow, program by program
    drawn = draw_without_logits(kernels, many, 0.8, torch.rand(rows, device=DEVICE), rows, **larger)
    probabilities = (head.logits[0].cpu().double() / 0.8).softmax(0)
    assert_distributed(torch.bincount(drawn.cpu(), minlength=100).double(), probabilities)


@pytest.mark.parametrize("world", [text, oracle])
def test_roll_outs_are_worth_the_same_with_the_same_numbers(kernels, monkeypatch, world):
    spec = world(6)
    policy, uniforms = lstm(spec, DEVICE), torch.rand(5, 4, 3, 6, device=DEVICE)
    tokens = sample(policy, spec, 3)
    plain = rollout_rewards(policy, spec, tokens, encode, 4, 0.9, uniforms)
    monkeypatch.setattr(categorical, "kernels_on", lambda device: kernels)
    monkeypatch.setattr(Head, "logits", None)  # nobody asks for them
    found = rollout_rewards(policy, spec, tokens, encode, 4, 0.9, uniforms)
    torch.testing.assert_close(found, plain, rtol=0, atol=2e-6)


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from textgan import kernels

def compiled(kernel, arch, outputs, rows, **pointers):
    layer = {"outputs": outputs, "weight": "*fp32", "bias": "*fp32"}
    numbers = {name: "i32" for name in ("rows", "vocab", "width", "blocks") if name in kernel.arg_names}
    sizes = {"ROWS": rows, "WORDS": 64, "DEPTH": kernels.DEPTH}
    kinds = {**layer, **pointers, **numbers, "scale": "fp32", **dict.fromkeys(sizes, "constexpr")}
    source = ASTSource(fn=kernel, signature={name: kinds[name] for name in kernel.arg_names}, constexprs=sizes)
    return len(triton.compile(source, target=GPUTarget("cuda", arch, 32)).asm["cubin"])

for arch in (80, 90):
    for outputs in ("*fp32", "*bf16"):
        print(compiled(kernels._block_sums, arch, outputs, 64, tops="*fp32", sums="*fp32"))
        pointers = {"picked": "*i64", "tops": "*fp32", "targets": "*fp32", "found": "*i64"}
        print(compiled(kernels._first_beyond, arch, outputs, 4, **pointers))
"""


def test_the_kernels_compile_for_gpus(tmp_path):
    """To machine code of an A100 and an H100 or H200, for which none is needed."""
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    environment.pop("TRITON_INTERPRET", None)
    done = subprocess.run([sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(int(size) > 1000 for size in done.stdout.split())
    assert len(done.stdout.split()) == 8


def test_numbers_in_double_precision_are_drawn_without_kernels(monkeypatch):
    head, uniforms = head_of(10, 5, 20), torch.rand(10, 1, device=DEVICE)
    head = Head(*(part.double() for part in head))
    monkeypatch.setattr(categorical, "kernels_on", lambda device: ModuleType("refused"))
    assert torch.equal(categorical.draw_from(head, 1.0, uniforms)[:, 0], draw(head.logits, 1.0, uniforms[:, 0]))


def test_kernels_are_used_on_gpus_alone():
    assert categorical.kernels_on(CPU) is None


class TestCheckedKernels:
    @pytest.fixture(autouse=True)
    def forget(self):
        categorical.checked_kernels.cache_clear()
        yield
        categorical.checked_kernels.cache_clear()

    def test_kernels_that_draw_the_same_are_given(self, kernels):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert categorical.checked_kernels(DEVICE) is kernels

    def test_kernels_that_draw_other_tokens_are_not(self, kernels, monkeypatch):
        right = kernels.first_beyond
        monkeypatch.setattr(kernels, "first_beyond", lambda *given, **sizes: right(*given, **sizes) - 1)
        with pytest.warns(UserWarning, match="without Triton, which draws other ones on"):
            assert categorical.checked_kernels(DEVICE) is None

    def test_kernels_that_fail_are_not(self, kernels, monkeypatch):
        def fail(*given, **sizes):
            raise RuntimeError("no compiler")

        monkeypatch.setattr(kernels, "block_sums", fail)
        with pytest.warns(UserWarning, match="without Triton, which fails on .*: no compiler"):
            assert categorical.checked_kernels(DEVICE) is None

    def test_without_triton_there_are_none(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "textgan.kernels", None)  # as if it could not be imported
        monkeypatch.delattr(textgan, "kernels", raising=False)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert categorical.checked_kernels(DEVICE) is None
