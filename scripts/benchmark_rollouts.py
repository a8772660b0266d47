"""Measures roll-out rewards: the nested loop that text GANs usually run against ours, in one process.

    python scripts/benchmark_rollouts.py --rollouts 16 --discriminator paper --device cuda

The nested loop takes every roll-out and every prefix in turn: it reads the prefix again from the begin mark, draws
the rest of the sentence with ``torch.multinomial``, and has the discriminator score the batch. "lean" computes no
logits while it reads the prefix; "usual" calls the generator's whole step for every token, logits and log-softmax
included, as the public implementations do.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from textgan import command_line
from textgan.data.spec import NONE, TextSpec
from textgan.networks.lstm import LSTMGenerator
from textgan.networks.modes import evaluating
from textgan.networks.text_cnn import SEQGAN_FILTERS, TextCNN
from textgan.policy_gradient import rollout_rewards
from textgan.precision import bfloat16
from textgan.sampling import sample


@dataclass(frozen=True)
class Options:
    """Sizes of the measurement; the defaults are SeqGAN's."""

    batch: int = 64
    """Sentences."""
    length: int = 20
    """Words of a sentence."""
    rollouts: int = 16
    """Completions of each prefix."""
    vocab: int = 5000
    """Words of the vocabulary."""
    hidden: int = 32
    """Units of the LSTM, and width of its embeddings."""
    discriminator: Literal["paper", "small"] = "paper"
    """paper: SeqGAN's 12 widths, 1,720 filters. small: widths 2 to 4, 64 filters each."""
    device: str = "cpu"
    """Where to run: cpu, cuda, ..."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: every way runs under bfloat16 autocast."""
    repeats: int = 3
    """Times that each way is run; medians are printed."""


class Stopwatch:
    """A reward function that adds up the seconds spent in it."""

    def __init__(self, reward: Callable[..., Tensor], device: torch.device) -> None:
        self.reward, self.device, self.seconds = reward, device, 0.0

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def __call__(self, sentences: Tensor, shared: int = 0) -> Tensor:
        start = self.now()
        rewards = self.reward(sentences, shared)
        self.seconds += self.now() - start
        return rewards


@torch.no_grad()
def nested_loop(
    policy: LSTMGenerator, tokens: Tensor, reward: Callable[[Tensor], Tensor], rollouts: int, usual: bool
) -> Tensor:
    """Roll-out rewards one prefix and one roll-out at a time."""
    batch, length = tokens.shape
    rewards = torch.zeros(batch, length, device=tokens.device)
    for _ in range(rollouts):
        for prefix in range(1, length):
            state = policy.start(batch)
            words = list(tokens[:, :prefix].unbind(1))
            for word in words:
                if usual:
                    policy.logits(state).log_softmax(-1)
                state = policy.advance(word, state)
            while True:
                words.append(torch.multinomial(policy.logits(state).softmax(-1), 1).squeeze(1))
                if len(words) == length:
                    break
                state = policy.advance(words[-1], state)
            rewards[:, prefix - 1] += reward(torch.stack(words, 1))
        rewards[:, -1] += reward(tokens)
    return rewards / rollouts


def peak_memory(device: torch.device) -> float:
    """The most megabytes in use so far: the GPU's tensors, or the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(args: list[str]) -> None:
    options = command_line.parse(Options, args, "python scripts/benchmark_rollouts.py", __doc__)
    torch.manual_seed(0)
    device = torch.device(options.device)
    spec = TextSpec(options.vocab, options.length, train_size=0, bos=0, eos=NONE, pad=NONE, unk=NONE)
    filters = SEQGAN_FILTERS if options.discriminator == "paper" else {2: 64, 3: 64, 4: 64}
    policy = LSTMGenerator(spec, options.hidden, options.hidden).to(device)
    discriminator = TextCNN(spec, tuple(filters), tuple(filters.values())).to(device)
    tokens = sample(policy, spec, options.batch)
    reward = Stopwatch(lambda rows, shared: discriminator(rows, shared, options.rollouts).sigmoid(), device)

    ways = {
        "forked": lambda: rollout_rewards(
            policy, spec, tokens, lambda rows, _: reward(rows), options.rollouts, shared_reward=reward
        ),
        "lean": lambda: nested_loop(policy, tokens, reward, options.rollouts, usual=False),
        "usual": lambda: nested_loop(policy, tokens, reward, options.rollouts, usual=True),
    }
    print(options, f"{torch.get_num_threads()} threads", f"torch {torch.__version__}", sep="\n")
    medians = {}
    with evaluating(policy, discriminator), bfloat16(device, options.precision == "bf16"):
        for name, way in ways.items():  # ours first, as the peak of the process never falls
            if device.type == "cuda":
                way()  # kernels are loaded and chosen at first use
                torch.cuda.reset_peak_memory_stats(device)
            parts = []
            for _ in range(options.repeats):
                reward.seconds, start = 0.0, reward.now()
                way()
                total = reward.now() - start
                parts.append((total - reward.seconds, reward.seconds, total))
            medians[name] = [statistics.median(part) for part in zip(*parts, strict=True)]
            seconds = "  ".join(f"{part} {value:8.3f} s" for part, value in zip(PARTS, medians[name], strict=True))
            print(f"{name:6s}  {seconds}  peak {peak_memory(device):.0f} MB", flush=True)
    for name in ("lean", "usual"):
        ratios = [theirs / ours for theirs, ours in zip(medians[name], medians["forked"], strict=True)]
        print(f"{name} / forked  " + "  ".join(f"{p} {r:8.1f} x" for p, r in zip(PARTS, ratios, strict=True)))


PARTS = ("decode", "reward", "total")

if __name__ == "__main__":
    command_line.run(main)
