"""The embedding metrics of real and other sentences, each side encoded as it should be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.small_encoder import save_encoder
from textgan.evaluate import main as evaluate
from textgan.evaluation.embedded import Embedded, spread
from textgan.metrics import embedding_scores
from textgan.networks.sentence_encoder import SentenceEncoder

WORDS = [
    "the",
    "cat",
    "dog",
    "old",
    "cow",
    "sits",
    "runs",
    "is",
    "not",
    "in",
    "near",
    "behind",
    "under",
    "house",
    "big",
    "tree",
    "field",
    "river",
    "hill",
]


@pytest.fixture(scope="module")
def folder(cache: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("encoder") / "bert", WORDS)


def sentences(n: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, size=random.integers(3, 8))) for _ in range(n)]


def test_spread_takes_evenly_and_no_more_than_there_are() -> None:
    assert spread(range(10), 5) == [0, 2, 4, 6, 8]
    assert spread(range(10), 3) == [0, 3, 6]
    assert spread("abc", 9) == ["a", "b", "c"]


def test_scores_are_those_of_the_features_and_real_ones_are_made_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = SentenceEncoder(f"hf:{folder}")
    real, fake = sentences(40, 0), sentences(30, 1)
    expected = embedding_scores(encoder.encode(real[::2]), encoder.encode(fake[:20]), encoder.signature)
    read: list[int] = []
    encode = encoder.encode
    monkeypatch.setattr(encoder, "encode", lambda some: read.append(len(some)) or encode(some))
    embedded = Embedded(encoder, real, limit=20)
    assert read == []
    assert embedded.scores(fake) == expected
    assert embedded.scores(fake) == expected
    assert sorted(read) == [20, 20, 20]


class TestEvaluate:
    def test_files_have_the_embedding_metrics_of_their_lines(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        samples, references = sentences(12, 0), sentences(10, 1)
        (tmp_path / "ours").write_text("\n".join(samples).upper())
        (tmp_path / "theirs").write_text("\n".join(references))
        flags = ["--samples", str(tmp_path / "ours"), "--references", str(tmp_path / "theirs"), "--lower"]
        flags += ["--json", str(tmp_path / "scores"), "--device", "cpu"]
        evaluate([*flags, "--encoder", f"hf:{folder}", "--embedded", "8"])
        found = json.loads((tmp_path / "scores").read_text())
        encoder = SentenceEncoder(f"hf:{folder}")
        expected = embedding_scores(
            encoder.encode(spread(references, 8)), encoder.encode(spread(samples, 8)), encoder.signature
        )
        assert {name: found[name]["value"] for name in expected} == pytest.approx(
            {name: score.value for name, score in expected.items()}, rel=1e-4, abs=1e-7
        )
        assert all(found[name]["signature"] == score.signature for name, score in expected.items())
        lines = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines()}
        assert float(lines["mmd-cubic"]) == pytest.approx(found["mmd-cubic"]["value"], rel=0.02)

    def test_a_run_has_them_if_asked(self, folder: Path, tiny_run: Path, tmp_path: Path) -> None:
        flags = [str(tiny_run), "--num", "12", "--json", str(tmp_path / "scores")]
        evaluate(flags)
        plain = json.loads((tmp_path / "scores").read_text())
        evaluate([*flags, "--encoder", f"hf:{folder}", "--embedded", "10"])
        found = json.loads((tmp_path / "scores").read_text())
        assert {name: found[name] for name in plain} == plain
        assert {"frechet-distance", "mauve", "recall"} <= found.keys() - plain.keys()
        assert all(
            s in found["mauve"]["signature"] for s in ("samples:10|references:10|", "temperature:1.0", "bert.8.")
        )
