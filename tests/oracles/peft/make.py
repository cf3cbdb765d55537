"""What Hugging Face's peft makes of LoRA and prefix tuning: python tests/oracles/peft/make.py

Needs the packages of bench/peers/requirements.txt. Writes, beside itself:
  base.safetensors, base_config.json   the f32 weights of a small random BertForSequenceClassification, and its config
  expected.safetensors    for every case, three ragged batches and three times ten training steps, CASE.f64.NAME (the reference) and
                          CASE.f32.error.NAME (the peer's largest error in f32, over the ways of ../ways.py): logits, loss, all
                          gradients of what is trained, merged weights, losses and final weights
  <case>/                 the adapter's folder as peft saves it before training

Prefix tuning is peft's own forward pass: with transformers 5 BertModel takes past_key_values as an encoder, and counts the
positions of a text from behind them. Names: those that peft has in memory, without "base_model.", "model." and "bert.".
"""
import json
import pathlib
import shutil
import sys

sys.modules["torchaudio"] = None  # not needed; transformers would import it, and a CUDA build beside a CPU one fails to load

import numpy as np
import peft
import torch
import transformers
from peft import LoraConfig, PrefixTuningConfig, get_peft_model
from safetensors.numpy import save_file
from transformers import BertConfig, BertForSequenceClassification, get_linear_schedule_with_warmup

FOLDER = pathlib.Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))
import ways  # noqa: E402

CLASSES, SMOOTHING = 3, 0.1
RATE, DECAY, CLIP, RUNS, STEPS, WARM_UP = 2e-3, 0.01, 0.5, 3, 10, 3
CASES = {
    "lora": lambda: LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=8),
    "lora_all": lambda: LoraConfig(task_type="SEQ_CLS", r=3, lora_alpha=5, use_rslora=True, target_modules="all-linear",
                                   rank_pattern={"key": 2}, alpha_pattern={"layer.1.output.dense": 7}),
    "prefix": lambda: PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=4),
    "prefix_network": lambda: PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=3, prefix_projection=True,
                                                 encoder_hidden_size=10),
}


def batch_of(random, config, lengths):
    longest = max(lengths)
    ids = np.zeros((len(lengths), longest), dtype=np.int64)
    types, mask = np.zeros_like(ids), np.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length] = random.integers(1, config.vocab_size, length)
        types[row, length // 2:length] = 1
        mask[row, :length] = 1
    return {"ids": ids, "types": types, "mask": mask, "labels": random.integers(0, CLASSES, len(lengths))}


def describe(prefix, batch, out):
    mask = batch["mask"].astype(bool)
    out[f"{prefix}lengths"] = batch["mask"].sum(1).astype(np.int32)
    out[f"{prefix}ids"] = batch["ids"][mask].astype(np.int32)
    out[f"{prefix}types"] = batch["types"][mask].astype(np.int32)
    out[f"{prefix}labels"] = batch["labels"].astype(np.int32)


def logits_of(model, batch):
    return model(input_ids=torch.from_numpy(batch["ids"]), attention_mask=torch.from_numpy(batch["mask"]),
                 token_type_ids=torch.from_numpy(batch["types"])).logits


def loss_of(logits, batch):
    return torch.nn.functional.cross_entropy(logits, torch.from_numpy(batch["labels"]), label_smoothing=SMOOTHING)


def our_name(name):
    return name.removeprefix("base_model.").removeprefix("model.").removeprefix("bert.")


def trained(model):
    return {our_name(n): p for n, p in model.named_parameters() if p.requires_grad}


def base_model(state, config, dtype, attention="eager"):
    config._attn_implementation = attention
    model = BertForSequenceClassification(config)
    model.load_state_dict(state)
    return model.to(dtype).eval()  # eval: no dropout


def adapted(case, state, config, dtype, values, attention="eager"):
    """The model with the adapter, whose weights are `values`."""
    model = get_peft_model(base_model(state, config, dtype, attention), CASES[case]()).eval()
    for name, p in trained(model).items():
        with torch.no_grad():
            p.copy_(torch.from_numpy(values[name]))
    return model.to(dtype)


def train(model, batches):
    parameters = trained(model)
    plain = [p for n, p in parameters.items() if n.endswith(".bias")]
    decayed = [p for n, p in parameters.items() if not n.endswith(".bias")]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}],
                                  lr=RATE, foreach=False)
    schedule = get_linear_schedule_with_warmup(optimizer, WARM_UP, STEPS)
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        loss = loss_of(logits_of(model, batch), batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), CLIP)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return np.array(losses)


def array(tensor):
    return np.ascontiguousarray(tensor.detach().numpy()).copy()


def outcome(way, dtype, case, state, config, values, batches, steps):
    """All that the model gives, by name."""
    out = {}

    def make():
        return adapted(case, state, config, dtype, values, way.attention)

    for i, plain in enumerate(batches):
        model, batch = make(), way.rearranged(plain)
        logits = logits_of(model, batch)
        loss = loss_of(logits, batch)
        loss.backward()
        out[f"logits.{i}"], out[f"loss.{i}"] = way.in_order(array(logits)), array(loss).reshape(1)
        for name, p in trained(model).items():
            out[f"gradient.{i}.{name}"] = array(p.grad)
    if case.startswith("lora"):
        merged = make().merge_and_unload()
        for name, p in merged.named_parameters():
            if name.endswith(".weight") and not torch.equal(state[name].to(dtype), p):
                out[f"merged.{our_name(name)}"] = array(p)
        for i, plain in enumerate(batches):
            out[f"merged_logits.{i}"] = way.in_order(array(logits_of(merged, way.rearranged(plain))))
    for run in range(RUNS):
        model = make()
        out[f"losses.{run}"] = train(model, [way.rearranged(b) for b in steps[run * STEPS:(run + 1) * STEPS]])
        for name, p in trained(model).items():
            out[f"end.{run}.{name}"] = array(p)
    return out


def main():
    torch.manual_seed(3)
    config = BertConfig(vocab_size=61, hidden_size=36, num_hidden_layers=2, num_attention_heads=3, intermediate_size=70,
                        max_position_embeddings=30, initializer_range=0.2, attn_implementation="eager", num_labels=CLASSES)
    first = BertForSequenceClassification(config)
    with torch.no_grad():  # gains and biases that matter
        for name, p in first.named_parameters():
            if name.endswith(".bias") or "LayerNorm" in name:
                p.add_(torch.randn(p.shape) * 0.1)
    state = {k: v.clone() for k, v in first.state_dict().items()}
    save_file({n: array(p) for n, p in first.named_parameters()}, FOLDER / "base.safetensors", metadata=versions())
    kept = ("attention_probs_dropout_prob", "classifier_dropout", "hidden_act", "hidden_dropout_prob", "hidden_size",
            "initializer_range", "intermediate_size", "layer_norm_eps", "max_position_embeddings", "model_type",
            "num_attention_heads", "num_hidden_layers", "pad_token_id", "type_vocab_size", "vocab_size")
    (FOLDER / "base_config.json").write_text(json.dumps({k: v for k, v in config.to_dict().items() if k in kept}, indent=1) + "\n")
    random, out = np.random.default_rng(7), {}
    batches = [batch_of(random, config, lengths) for lengths in ([7, 1, 23, 2, 16], [12, 5, 21, 9], [3, 23, 14, 1, 18, 6])]
    for i, each in enumerate(batches):
        describe(f"batch.{i}.", each, out)
    steps = [batch_of(random, config, list(random.integers(1, 20, random.integers(2, 7)))) for _ in range(RUNS * STEPS)]
    for i, each in enumerate(steps):
        describe(f"step.{i}.", each, out)
    for case in CASES:
        model = get_peft_model(base_model(state, config, torch.float32), CASES[case]())
        values = {}
        for name, p in trained(model).items():  # B and the head away from where they start
            with torch.no_grad():
                if "lora_B" in name or "modules_to_save" in name:
                    p.add_(torch.randn(p.shape) * 0.2)
            values[name] = out[f"{case}.start.{name}"] = array(p)
        shutil.rmtree(FOLDER / case, ignore_errors=True)
        model.save_pretrained(FOLDER / case)
        (FOLDER / case / "README.md").unlink()
        given = (case, state, config, values, batches, steps)
        reference = outcome(ways.Way(), torch.float64, *given)
        out |= {f"{case}.f64.{key}": value for key, value in reference.items()}
        out |= {f"{case}.{key}": error for key, error in ways.largest_errors(reference, outcome, *given).items()}
    save_file(out, FOLDER / "expected.safetensors", metadata=versions())


def versions():
    return {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
