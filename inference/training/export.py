"""From the trained model to what the server loads: ONNX by onnxruntime-genai's builder, matrices in 8 bits.

The builder quantises GPT-OSS from the original's own weights only, so that it makes single precision here.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from inference.training.quantised import quantise
from schemas.errors import InputError

FILES = ("model.onnx", "model.onnx.data", "genai_config.json", "tokenizer.json")
"""What the server needs, and all that is kept of the builder's output."""


def export(trained: Path, target: Path) -> int:
    """Writes the model in `trained` (transformers' format) to `target`; returns the bytes written.

    Raises:
        InputError: the builder refused the model; the text holds the end of what it said.
    """
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(scratch) / "built"
        argv = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
        argv += ["-i", str(trained), "-o", str(built), "-c", scratch, "-p", "fp32", "-e", "cpu"]
        # A prompt's last token alone needs logits.
        argv += ["--extra_options", "prune_lm_head=true"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise InputError(f"the model builder refused {trained}: {done.stderr[-2000:]}")
        quantise(built)
        for name in FILES:
            (target / name).write_bytes((built / name).read_bytes())
    return sum((target / name).stat().st_size for name in FILES)
