"""Scores from log-probabilities that a model, or an oracle, has given to sentences. All logarithms are natural."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from textgan.errors import UserError
from textgan.metrics.base import Score, signature


def nll_per_token(
    log_probs: Float[Tensor, "batch length"], mask: Bool[Tensor, "batch length"], metric: str = "nll-test"
) -> Score:
    """Negative log-likelihood in nats per token: ``-(sum of all tokens' log p) / (number of tokens)``.

    Every token weighs the same, so a long sentence weighs more than a short one; exp of it is the perplexity.

    Args:
        log_probs: ``log p(token | tokens before it)``; whatever stands outside the mask is not looked at.
        mask: True for the tokens that count: words and end mark, not padding.
        metric: the score's name, as "nll-test" (model on held-out text) or "nll-oracle" (oracle on the model's).

    Raises:
        UserError: the mask leaves no token.
    """
    tokens = int(mask.sum())
    if tokens == 0:
        raise UserError(f"there are no tokens (0) for {metric}; at least one is needed")
    value = -log_probs[mask].double().sum().item() / tokens
    return Score(value, signature(metric, unit="nats/token", sentences=len(mask), tokens=tokens))


def kl_both_ways(
    log_p_x: Float[Tensor, "oracle_samples"],
    log_q_x: Float[Tensor, "oracle_samples"],
    log_p_y: Float[Tensor, "model_samples"],
    log_q_y: Float[Tensor, "model_samples"],
    length: int,
) -> dict[str, Score]:
    """Both Kullback-Leibler divergences of oracle p and model q over sentences of a fixed length, nats per token.

    ``KL(p || q) = E_{x~p}[log p(x) - log q(x)] / length`` is large where the model misses what the oracle says,
    ``KL(q || p) = E_{y~q}[log q(y) - log p(y)] / length`` where the model says what the oracle does not. Both are
    unbiased sample means and may fall below 0 by chance; infinite where a sample has no mass under the other.

    Args:
        log_p_x, log_q_x: of the oracle's samples x ~ p, each sentence's summed log-probability.
        log_p_y, log_q_y: of the model's samples y ~ q.
        length: tokens of a sentence.

    Returns:
        "kl-oracle-model" and "kl-model-oracle", and the standard error of each as "<name>-error".

    Raises:
        UserError: fewer than two samples on a side.
    """
    differences = {"kl-oracle-model": log_p_x.double() - log_q_x, "kl-model-oracle": log_q_y.double() - log_p_y}
    scores = {}
    for name, difference in differences.items():
        samples = len(difference)
        if samples < 2:
            raise UserError(f"the number of samples (={samples}) for {name} must be at least 2")
        error = difference.std() / samples**0.5
        for key, value in ((name, difference.mean()), (f"{name}-error", error)):
            settings = {"unit": "nats/token", "samples": samples, "length": length}
            scores[key] = Score(value.item() / length, signature(key, **settings))
    return scores
