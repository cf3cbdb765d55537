#!/usr/bin/env python3
"""hocket's adapters beside Hugging Face's peft itself, on the published MiniLM: folders that hocket trained load in peft without a
missing or unexpected key and give hocket's logits; folders that peft saved give peft's logits here, with the same tensors. Logits by
the 2x rule: the reference is peft in f64, the peer's error is peft's own in f32. Compiles main.cpp with $CXX.

  tests/peft_peer/parity.py [--program PATH]     exit 1 on a difference, 77 without the library or the model
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tokenizers_peer"))
from environment import CACHE, require  # noqa: E402

require("peft")
sys.modules["torchaudio"] = None  # not needed; transformers would import it, and a CUDA build beside a CPU one fails to load
import numpy as np  # noqa: E402
import torch  # noqa: E402
from peft import LoraConfig, PeftModel, PrefixTuningConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402
from safetensors.torch import load_file as load_torch  # noqa: E402
import transformers  # noqa: E402
from transformers import BertForSequenceClassification  # noqa: E402

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
warnings.filterwarnings("ignore", category=FutureWarning)

MODEL = CACHE / "data" / "minilm_l6_v2"
OURS = {  # name: arguments of main
    "lora": ["lora", "rank=8", "targets=query,value"],
    "lora_all": ["lora", "rank=4", "alpha=16", "targets=all-linear"],
    "lora_rs": ["lora", "rank=16", "alpha=4", "rslora=true", "layers=3,4,5", "rank_pattern=query:8"],
    "prefix": ["prefix", "rows=20", "deviation=0.5"],
    "prefix_network": ["prefix", "rows=10", "projection=true", "hidden=64"],
    "prefix_and_lora": ["prefix", "rows=7", "lora", "rank=8", "targets=all-linear"],
}
THEIRS = {
    "lora": lambda: LoraConfig(task_type="SEQ_CLS", r=8),
    "lora_all": lambda: LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=16, target_modules="all-linear"),
    "lora_rs": lambda: LoraConfig(task_type="SEQ_CLS", r=16, lora_alpha=4, use_rslora=True, target_modules=["query", "dense"],
                                  layers_to_transform=[1, 5], rank_pattern={"query": 8}, alpha_pattern={"output.dense": 9}),
    "prefix": lambda: PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=20),
    "prefix_network": lambda: PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=10, prefix_projection=True, encoder_hidden_size=64),
}


def build(directory):
    program = Path(directory) / "adapters"
    command = [os.environ.get("CXX", "g++"), "-std=c++20", "-O2", "-fopenmp", "-I", str(ROOT / "include"),
               str(Path(__file__).with_name("main.cpp")), "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def texts(seed, count=48, longest=60):
    random = np.random.default_rng(seed)
    lengths = random.integers(1, longest, count)
    ids = np.zeros((count, longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length] = random.integers(1000, 30000, length)
        mask[row, :length] = 1
    labels = random.integers(0, 3, count)
    packed = {"lengths": lengths.astype(np.int32), "ids": ids[mask.astype(bool)].astype(np.int32), "labels": labels.astype(np.int32)}
    return torch.from_numpy(ids), torch.from_numpy(mask), packed


def base(dtype, attention):
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return BertForSequenceClassification.from_pretrained(MODEL, num_labels=3, attn_implementation=attention, dtype=dtype).eval()


def load(folder, dtype, attention):
    """peft's model of a folder; throws for a key that is missing or one too many."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it only warns; the same call again tells which keys
        model = PeftModel.from_pretrained(base(dtype, attention), folder).eval()
    result = set_peft_model_state_dict(model, load_torch(folder / "adapter_model.safetensors"))
    missing = [key for key in result.missing_keys if "lora_" in key or "modules_to_save.default" in key]
    unexpected = [key for key in result.unexpected_keys if key != "prompt_embeddings"]  # set on its own, and strictly
    if missing or unexpected:
        raise KeyError(f"{folder}: missing {missing}, unexpected {unexpected}")
    return model.to(dtype)


def notices(folder, directory):
    """Whether load() would see a key that is missing or one too many."""
    seen = 0
    for change in ("missing", "unexpected"):
        damaged = Path(directory) / change
        shutil.copytree(folder, damaged)
        tensors = load_file(damaged / "adapter_model.safetensors")
        first = min(tensors)
        if change == "missing":
            del tensors[first]
        else:
            tensors[first.replace("layer.0.", "layer.99.")] = tensors[first]
        save_file(tensors, damaged / "adapter_model.safetensors")
        try:
            load(damaged, torch.float32, "eager")
        except KeyError:
            seen += 1
    return seen == 2


def both(folder, dtype, attention):
    if (folder / "adapter_config.json").exists():
        return load(folder, dtype, attention)
    merged = load(folder / "lora", dtype, attention).merge_and_unload()  # peft runs one method at a time
    return PeftModel.from_pretrained(merged, folder / "prefix").eval().to(dtype)


def merged(path, dtype, attention):
    model = base(dtype, attention)
    model.load_state_dict(load_torch(path), strict=True)
    return model


def logits_of(model, ids, mask):
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask).logits.numpy()


def compare(name, ours, make, ids, mask):
    """By the 2x rule; the peer's error is the larger one of its two ways to compute attention."""
    reference = logits_of(make(torch.float64, "eager"), ids, mask)
    peer = max(np.abs(logits_of(make(torch.float32, way), ids, mask) - reference).max() for way in ("eager", "sdpa"))
    error, bound = np.abs(ours - reference).max(), max(2 * peer, np.finfo(np.float32).eps * np.abs(reference).max())
    good = bool(error <= bound) and np.ptp(reference) > 0
    print(f"{'ok    ' if good else 'FAILED'} {name}: logits off by {error:.3g}, peft itself in f32 by {peer:.3g} (allowed {bound:.3g})")
    return good


def same_tensors(name, folder, model):
    """The file holds what peft has in memory, to the bit."""
    if not (folder / "adapter_config.json").exists():
        return True
    stored, memory = load_file(folder / "adapter_model.safetensors"), get_peft_model_state_dict(model)
    good = stored.keys() == memory.keys() and all(np.array_equal(stored[k], memory[k].detach().numpy()) for k in stored)
    print(f"{'ok    ' if good else 'FAILED'} {name}: {len(stored)} tensors, names and bits")
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program")
    given = parser.parse_args()
    if not (MODEL / "model.safetensors").is_file():
        print(f"skipped: {MODEL} is missing (experiments/data/fetch.py minilm_l6_v2)")
        return 77
    torch.set_num_threads(2)
    good = True
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        program = given.program or build(directory)
        ids, mask, packed = texts(3)
        save_file(packed, directory / "tokens")

        def run(verb, folder, *method):
            subprocess.run([str(program), verb, str(MODEL), str(folder), str(directory / "tokens"), str(directory / "out"), *method], check=True)
            return load_file(directory / "out")["logits"]

        for name, method in OURS.items():
            folder = directory / f"ours_{name}"
            ours = run("make", folder, *method)
            good &= compare(f"ours in peft, {name}", ours, lambda *how: both(folder, *how), ids, mask)
            if (folder / "adapter_config.json").exists():
                good &= same_tensors(f"ours in peft, {name}", folder, load(folder, torch.float32, "eager"))
            if "prefix" not in name:
                subprocess.run([str(program), "merge", str(MODEL), str(folder), str(directory / "merged")], check=True)
                good &= compare(f"ours merged in transformers, {name}", ours, lambda *how: merged(directory / "merged", *how), ids, mask)
        if not notices(directory / "ours_lora", directory):
            raise SystemExit("FAILED: this script would not see a key that is missing or one too many")
        for name, config in THEIRS.items():
            folder = directory / f"theirs_{name}"
            model = get_peft_model(base(torch.float32, "eager"), config())
            with torch.no_grad():
                for key, p in model.named_parameters():
                    if p.requires_grad and ("lora_B" in key or "modules_to_save" in key):
                        p.add_(torch.randn(p.shape) * 0.05)
            model.save_pretrained(folder)
            ours = run("read", folder)
            good &= compare(f"peft's here, {name}", ours, lambda *how: both(folder, *how), ids, mask)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
