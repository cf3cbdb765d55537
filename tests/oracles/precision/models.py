"""How far whole models under PyTorch's bf16 autocast are from f64: python tests/oracles/precision/models.py MINILM_FOLDER

Needs the packages of bench/peers/requirements.txt. Writes models.safetensors beside itself: one number a tensor, the peer's
largest error. References, weights and batches are those of tests/oracles/encoder and tests/oracles/peft.
  tiny/Y, minilm/Y        Y = hidden.0 ..., mean, pooler, logits, loss, gradient.NAME of the classifier there
  CASE/Y                  Y = logits, gradient.NAME of peft's cases there, the largest of three batches
The peer is the larger of two evaluations, attention eager and fused.
"""
import importlib.util
import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).parent


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


encoder = load("encoder_oracle", FOLDER.parent / "encoder/make.py")
adapters = load("peft_oracle", FOLDER.parent / "peft/make.py")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402
from transformers import BertConfig, BertForSequenceClassification, BertModel  # noqa: E402

WAYS = ("eager", "sdpa")
out = {}


def note(name, error):
    before = out.get(name, np.float64([0]))[0]
    out[name] = np.float64([max(before, error)])


def padded(stored, prefix):
    """The batch of an oracle as the library takes it."""
    lengths, longest = stored[prefix + "lengths"], int(stored[prefix + "lengths"].max())
    batch = {k: np.zeros((len(lengths), longest), dtype=np.int64) for k in ("ids", "types", "mask")}
    start = 0
    for row, length in enumerate(lengths):
        for part in ("ids", "types"):
            batch[part][row, :length] = stored[prefix + part][start:start + length]
        batch["mask"][row, :length] = 1
        start += length
    return batch | {"labels": stored[prefix + "labels"].astype(np.int64)}


def autocast(dtype):
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.float32)


def classifier(name, make, batch):
    """make(attention) -> the classifier of encoder/make.py."""
    def run(dtype, attention):
        found, model = {}, make(attention).to(dtype).eval()
        with autocast(dtype):
            states, mean, logits = model(*encoder.tensors(batch))
            loss = encoder.loss_of(logits, batch)
        loss.backward()
        for layer, hidden in enumerate(states.hidden_states):
            found[f"hidden.{layer}"] = hidden.detach().double().numpy()[batch["mask"].astype(bool)]
        for what, value in (("mean", mean), ("pooler", states.pooler_output), ("logits", logits), ("loss", loss)):
            found[what] = value.detach().double().numpy()
        for parameter, p in model.named_parameters():
            found["gradient." + parameter.removeprefix("bert.")] = p.grad.double().numpy()
        return found

    reference = run(torch.float64, "eager")
    for attention in WAYS:
        for what, value in run(torch.float32, attention).items():
            note(f"{name}/{what}", np.abs(value - reference[what]).max())


def tiny():
    weights = load_file(FOLDER.parent / "encoder/tiny.safetensors")
    batch = padded(load_file(FOLDER.parent / "encoder/tiny_expected.safetensors"), "")

    def make(attention):
        config = BertConfig(**json.loads((FOLDER.parent / "encoder/tiny_config.json").read_text()), attn_implementation=attention)
        model = encoder.Classifier(BertModel(config), seed=5)
        model.load_state_dict({k if k.startswith("head.") else "bert." + k: torch.from_numpy(v) for k, v in weights.items()}, strict=False)
        return model

    classifier("tiny", make, batch)


def minilm(folder):
    classifier("minilm", lambda attention: encoder.Classifier(encoder.real_model(folder, attention), seed=5),
               padded(load_file(FOLDER.parent / "encoder/minilm_expected.safetensors"), ""))


def peft_cases():
    stored = load_file(FOLDER.parent / "peft/expected.safetensors")
    state = {k: torch.from_numpy(v) for k, v in load_file(FOLDER.parent / "peft/base.safetensors").items()}
    config = BertConfig(**json.loads((FOLDER.parent / "peft/base_config.json").read_text()), num_labels=adapters.CLASSES)
    state |= {k: v for k, v in BertForSequenceClassification(config).state_dict().items() if k not in state}  # numbers of positions
    for case in adapters.CASES:
        front = f"{case}.start."
        values = {k.removeprefix(front): v for k, v in stored.items() if k.startswith(front)}
        for i in range(3):
            batch = padded(stored, f"batch.{i}.")
            for attention in WAYS:
                model = adapters.adapted(case, state, config, torch.float32, values, attention)
                with autocast(torch.float32):
                    logits = adapters.logits_of(model, batch)
                    loss = adapters.loss_of(logits, batch)
                loss.backward()
                note(f"{case}/logits", np.abs(logits.detach().double().numpy() - stored[f"{case}.f64.logits.{i}"]).max())
                for name, p in adapters.trained(model).items():
                    note(f"{case}/gradient.{name}", np.abs(p.grad.double().numpy() - stored[f"{case}.f64.gradient.{i}.{name}"]).max())


if __name__ == "__main__":
    torch.set_num_threads(1)
    tiny()
    peft_cases()
    minilm(sys.argv[1])
    save_file(out, FOLDER / "models.safetensors", metadata=encoder.versions())
    print(len(out), "tensors")
