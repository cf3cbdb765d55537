#!/usr/bin/env python3
"""Hugging Face's peft on the splits of experiments/peft_vs_full: LoRA of rank 8 on query and value of MiniLM, mean pooling, the same
texts, learning rates, epochs, batch, schedule and dropout, with PyTorch in f32. Writes records of the arm lora_python_peft/rank=8,
which a report sets beside hocket's.

  bench/peers/peft_accuracy.py --program build/release/bin/peft_vs_full --results DIR [--per-cent 10] [--seeds 5]

The record's provenance and machine are taken from a record of hocket's in the same DIR, so run the experiment first.
"""
import argparse
import hashlib
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.modules["torchaudio"] = None  # transformers would import it, and a CUDA build beside a CPU one fails to load
import numpy as np  # noqa: E402
import peft  # noqa: E402
import tokenizers  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))
import record  # noqa: E402

ARM, CLASSES = "lora_python_peft/rank=8", ["negative", "neutral", "positive"]
RATES, BATCH, LONGEST = (5e-4, 2e-3, 8e-3), 32, 96
EPOCHS = {1: 10, 10: 4, 100: 2}


def read(path):
    rows = [line.split(b"\t", 1) for line in path.read_bytes().split(b"\n") if line]
    return [text.decode("utf-8", "replace") for _, text in rows], [CLASSES.index(label.decode()) for label, _ in rows]


class Classifier(torch.nn.Module):
    """Mean of the hidden states, dropout, one linear layer: the head of the experiment."""

    def __init__(self, folder):
        super().__init__()
        self.config = transformers.BertConfig.from_pretrained(folder)
        self.bert = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False)
        self.drop = torch.nn.Dropout(self.config.hidden_dropout_prob)
        self.classifier = torch.nn.Linear(self.config.hidden_size, len(CLASSES))
        torch.nn.init.normal_(self.classifier.weight, std=self.config.initializer_range)
        torch.nn.init.zeros_(self.classifier.bias)

    def forward(self, ids, mask):
        states = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask.unsqueeze(-1).to(states.dtype)
        return self.classifier(self.drop((states * weight).sum(1) / weight.sum(1)))


def padded(all_ids, rows):
    longest = max(len(all_ids[row]) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(all_ids[row])] = torch.tensor(all_ids[row])
        mask[i, : len(all_ids[row])] = 1
    return ids, mask


def answers(model, all_ids):
    model.eval()
    order = sorted(range(len(all_ids)), key=lambda row: -len(all_ids[row]))
    said = np.zeros(len(all_ids), dtype=np.int64)
    with torch.inference_mode():
        for at in range(0, len(order), 128):
            rows = order[at : at + 128]
            said[rows] = model(*padded(all_ids, rows)).argmax(1).numpy()
    return said


def train(folder, ids, labels, rate, epochs, seed):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = peft.get_peft_model(Classifier(folder), peft.LoraConfig(
        r=8, lora_alpha=16, lora_dropout=0.1, target_modules=["query", "value"], modules_to_save=["classifier"]))
    steps = epochs * math.ceil(len(ids) / BATCH)
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    groups = [{"params": [p for n, p in trained if not n.endswith("bias")], "weight_decay": 0.01},
              {"params": [p for n, p in trained if n.endswith("bias")], "weight_decay": 0.0}]
    update = torch.optim.AdamW(groups, lr=rate)
    schedule = transformers.get_linear_schedule_with_warmup(update, round(0.06 * steps), steps)
    model.train()
    for _ in range(epochs):
        order = rng.permutation(len(ids))
        for at in range(0, len(order), BATCH):
            rows = order[at : at + BATCH]
            loss = torch.nn.functional.cross_entropy(model(*padded(ids, rows)), torch.tensor([labels[r] for r in rows]))
            loss.backward()
            torch.nn.utils.clip_grad_norm_([p for _, p in trained], 1.0)
            update.step()
            schedule.step()
            update.zero_grad()
    return model


def case(program, folder, per_cent, seed, template):
    """One record beside hocket's record of LoRA of rank 8 with the same seed."""
    start = time.monotonic()
    words = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    words.no_padding()
    words.enable_truncation(LONGEST)
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([program, "split", "--per-cent", str(per_cent), "--seed", str(seed), "--out", scratch], check=True,
                       stdout=subprocess.DEVNULL)
        parts = {name: read(Path(scratch) / f"{name}.tsv") for name in ("train", "valid", "test")}
    ids = {name: [one.ids for one in words.encode_batch(texts)] for name, (texts, _) in parts.items()}
    best, points = None, []
    for rate in RATES:
        model = train(folder, ids["train"], parts["train"][1], rate, EPOCHS[per_cent], seed)
        accuracy = float(np.mean(answers(model, ids["valid"]) == np.array(parts["valid"][1])))
        points.append([rate, accuracy])
        if best is None or accuracy > best[0]:
            best = (accuracy, model)
    said, truth = answers(best[1], ids["test"]), np.array(parts["test"][1])
    if truth.tolist() != template["items"]["truth"]:
        raise SystemExit("the test sentences are not those of hocket's record")
    f1 = [2 * np.sum((said == k) & (truth == k)) / max(1, np.sum(said == k) + np.sum(truth == k)) for k in range(len(CLASSES))]
    like = {metric["name"]: metric for metric in template["metrics"]}
    trained = sum(p.numel() for p in best[1].parameters() if p.requires_grad)
    metrics = [{**{k: like[name][k] for k in ("name", "variant", "unit", "better", "split")}, "value": float(value), "n": len(truth)}
               for name, value in (("accuracy", np.mean(said == truth)), ("macro_f1", np.mean(f1)), ("trainable_parameters", trained))]
    made = {key: template[key] for key in ("schema", "kind", "experiment", "protocol", "data", "machine")}
    made.update({
        "case": f"{template['case'].split('/')[0]}/{ARM}/seed={seed}", "status": "ok", "error": None, "seed": seed,
        "config": {"arm": ARM, "per_cent": per_cent, "epochs": EPOCHS[per_cent], "batch": BATCH, "rates": ",".join(map(str, RATES)),
                   "method": "lora_python_peft", "dtype": "f32"},
        "metrics": metrics, "items": {**template["items"], "predicted": said.tolist()},
        "curves": [{"name": "validation accuracy", "x": "learning rate", "y": "accuracy on validation sentences", "points": points}],
        "wall_s": time.monotonic() - start})
    provenance = dict(template["provenance"])
    provenance["libraries"] = {**provenance["libraries"], "peft": peft.__version__, "torch": torch.__version__,
                               "transformers": transformers.__version__}
    provenance["command"] = ["peft_accuracy.py", "--per-cent", str(per_cent)]
    provenance["created_utc"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    provenance["code_digest"] = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    made["provenance"] = provenance
    made["key"] = record.key_of(made)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--results", required=True, type=Path)
    parser.add_argument("--model", type=Path, default=Path.home() / ".cache/hocket/data/minilm_l6_v2")
    parser.add_argument("--per-cent", type=int, default=10, choices=sorted(EPOCHS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.logging.set_verbosity_error()
    folder = options.results / "peft_vs_full"
    ours = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    for seed in range(options.seeds):
        name = f"sentiment_{options.per_cent}pct/lora/rank=8/seed={seed}"
        template = next((r for r in ours if r["case"] == name and r["status"] == "ok"), None)
        if template is None:
            print(f"{name}: no record of hocket's; run it first", file=sys.stderr)
            return 4
        if any(r["case"] == name.replace("lora/rank=8", ARM) for r in ours):
            continue  # there already
        made = case(options.program, options.model, options.per_cent, seed, template)
        print(record.write(made, options.results), made["metrics"][0]["value"], flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
