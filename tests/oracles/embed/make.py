#!/usr/bin/env python3
"""What `encoder_inference embed` should write for awkward texts: run with bench/peers' Python from anywhere.

  texts.txt              a text a line: empty, white space, CRLF, lone carriage returns, bytes that are not UTF-8, a byte order
                         mark, zero bytes, words that fill the limit exactly and lines far beyond it; no line feed at its end
  expected.safetensors   NAME.f64 and NAME.f32 (texts, D) for every setting of SETTINGS: the small model of ../encoder with the
                         tokenizer of ../text/small, tokenizers and transformers, in f64 (the reference) and f32 (the peer)
"""
import pathlib
import sys

FOLDER = pathlib.Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent / "encoder"))

import make  # noqa: E402  (first: it keeps transformers from importing torchaudio)
import torch  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from transformers import BertConfig, BertModel  # noqa: E402

# name: (max_length, pooling, normalize)
SETTINGS = {"usual": (64, "mean", True), "cls": (64, "cls", True), "raw": (64, "mean", False), "short": (9, "cls", False),
            "empty": (2, "mean", True)}
LINES = [
    b"The plot was good, but the characters are uncompelling.", b"", b"", b" \t ", b"It was a long day. " * 300, b"windows line\r",
    b"\r", b"lone\rcarriage return", b"caf\xe9 is not UTF-8, nor is \xff\xfe", "naïve Café ﬁancé 12,5 € 😀 我爱北京".encode(),
    "\ufeffa byte order mark".encode(), b"zero\x00byte", b"a " * 61, b"a " * 62, b"a " * 63, b"supercalifragilisticexpialidocious" * 9,
    b"[CLS] [SEP] [MASK] [PAD]", b"!", b"ends without a line feed",
]


def texts_of(content):
    """As experiments/encoder_inference/embed.hpp cuts a file into texts."""
    lines = content.split(b"\n")
    rest = lines.pop()
    lines = [line[:-1] if line.endswith(b"\r") else line for line in lines] + ([rest] if rest else [])
    return [line.decode("utf-8", errors="replace") for line in lines]


def embeddings(model, tokenizer, texts, max_length, pooling, normalize):
    tokenizer.enable_truncation(max_length)
    tokenizer.no_padding()
    out = []
    with torch.no_grad():
        for text in texts:  # one at a time: padding cannot matter
            states = model(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0]
            row = states.mean(0) if pooling == "mean" else states[0]
            out.append(torch.nn.functional.normalize(row, dim=0) if normalize else row)
    return torch.stack(out).numpy()


def main():
    torch.set_num_threads(1)
    content = b"\n".join(LINES)
    (FOLDER / "texts.txt").write_bytes(content)
    config = BertConfig.from_json_file(make.FOLDER / "sentences_config.json")
    config._attn_implementation = "eager"
    model = BertModel(config, add_pooling_layer=False)
    model.load_state_dict(load_file(make.FOLDER / "sentences_model.safetensors"), strict=True)
    out = {}
    for name, setting in SETTINGS.items():
        for kind, dtype in (("f64", torch.float64), ("f32", torch.float32)):
            out[f"{name}.{kind}"] = embeddings(model.to(dtype).eval(), Tokenizer.from_file(str(make.SMALL_TOKENIZER)), texts_of(content), *setting)
        model.load_state_dict(load_file(make.FOLDER / "sentences_model.safetensors"), strict=True)
    save_file(out, FOLDER / "expected.safetensors", metadata=make.versions())


if __name__ == "__main__":
    main()
