"""What PyTorch and transformers make of a BERT encoder: python tests/oracles/encoder/make.py [MINILM_FOLDER]

Needs the packages of bench/peers/requirements.txt. Writes, beside itself:
  tiny.safetensors      the f32 weights of a small random BertModel with pooler, and of a head, by transformers' names
  tiny_config.json      its config
  tiny_expected.safetensors  for one ragged batch and ten training steps: f64.NAME (the reference) and f32.error.NAME (the
                        peer's largest error in f32, over the ways of ../ways.py)
  tiny_gelu_new_expected.safetensors  what the same weights give with hidden_act gelu_new, and a sample of every gradient
  minilm_expected.safetensors  the same hidden states of the real model, and a sample of every gradient (with an argument)
  sentences_model.safetensors, sentences_config.json  a very small model for the tokenizer of tests/oracles/text/small
  sentences_expected.safetensors  embeddings of SENTENCES, from text to unit length, by that model and (with an argument)
                        the real one; tests/encoder_peer compares all gradients and more sentences with the live libraries

Padded batches with an attention mask there, packed rows here: rows of padding are cut away before they are stored.
"""
import json
import pathlib
import sys

sys.modules["torchaudio"] = None  # not needed; transformers would import it, and a CUDA build beside a CPU one fails to load

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, get_linear_schedule_with_warmup

FOLDER = pathlib.Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))
import ways  # noqa: E402

CLASSES, SMOOTHING = 3, 0.1
RATE, DECAY, CLIP, STEPS, WARM_UP = 2e-3, 0.01, 0.5, 10, 3
SMALL_TOKENIZER = FOLDER.parent / "text" / "small" / "tokenizer.json"
SENTENCES = [
    "The plot was good, but the characters are uncompelling and the dialog is not great.", "", "   ", "!", "naïve Café ﬁancé 12,5 €",
    "VADER is smart, handsome, and funny!!! :) 😀", "我爱北京天安门 and Tōkyō", "supercalifragilisticexpialidocious " * 3,
    "It was a long day. " * 60,  # cut at the longest that a model takes
    "At least it isn't a horrible book.", "[CLS] is not special here, [MASK] neither", "a",
]


class Classifier(torch.nn.Module):
    """logits of [mean of the tokens, pooler's output]."""

    def __init__(self, bert, seed):
        super().__init__()
        self.bert = bert
        self.head = torch.nn.Linear(2 * bert.config.hidden_size, CLASSES)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.head.weight.copy_(torch.randn(self.head.weight.shape, generator=generator) * 0.1)
            self.head.bias.copy_(torch.randn(CLASSES, generator=generator) * 0.1)

    def forward(self, ids, mask, types):
        out = self.bert(ids, attention_mask=mask, token_type_ids=types, output_hidden_states=True)
        weights = mask.unsqueeze(-1).to(out.last_hidden_state.dtype)
        mean = (out.last_hidden_state * weights).sum(1) / weights.sum(1)
        return out, mean, self.head(torch.cat([mean, out.pooler_output], dim=1))


def batch_of(random, config, lengths):
    longest = max(lengths)
    ids = np.zeros((len(lengths), longest), dtype=np.int64)
    types, mask = np.zeros_like(ids), np.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length] = random.integers(1, config.vocab_size, length)
        types[row, length // 2:length] = 1
        mask[row, :length] = 1
    return {"ids": ids, "types": types, "mask": mask, "labels": random.integers(0, CLASSES, len(lengths))}


def tensors(batch):
    return (torch.from_numpy(batch["ids"]), torch.from_numpy(batch["mask"]), torch.from_numpy(batch["types"]))


def packed(rows, mask):
    return np.ascontiguousarray(rows[mask.astype(bool)])


def describe(prefix, batch, out):
    mask = batch["mask"]
    out[f"{prefix}lengths"] = mask.sum(1).astype(np.int32)
    out[f"{prefix}ids"] = packed(batch["ids"], mask).astype(np.int32)
    out[f"{prefix}types"] = packed(batch["types"], mask).astype(np.int32)
    out[f"{prefix}labels"] = batch["labels"].astype(np.int32)


def loss_of(logits, batch):
    return torch.nn.functional.cross_entropy(logits, torch.from_numpy(batch["labels"]), label_smoothing=SMOOTHING)


def outcome(way, dtype, config, state, batch, keep=None, steps=()):
    """Hidden states, pooled rows, logits, loss and gradients, by name, and the losses of training when there are steps;
    `keep(name, gradient)` chooses what is stored of one."""
    def rearranged(batch):
        return way.rearranged(batch, config.max_position_embeddings)

    out, model, given = {}, fresh(config, state, dtype, way.attention), rearranged(batch)
    states, mean, logits = model(*tensors(given))
    loss = loss_of(logits, given)
    loss.backward()
    for layer, hidden in enumerate(states.hidden_states):
        out[f"hidden.{layer}"] = packed(way.in_order(hidden.detach().numpy())[:, :batch["mask"].shape[1]], batch["mask"])
    for name, rows in (("mean", mean), ("pooler", states.pooler_output), ("logits", logits)):
        out[name] = way.in_order(rows.detach().numpy())
    out["loss"] = loss.detach().numpy().reshape(1)
    for name, p in model.named_parameters():
        gradient = p.grad.detach().numpy().copy()
        out[f"gradient.{name.removeprefix('bert.')}"] = keep(name, gradient) if keep else gradient
    if steps:
        out["losses"], out["norms"] = train(fresh(config, state, dtype, way.attention), [rearranged(step) for step in steps])
    return out


def compared(*given):
    """The reference, outcome(*given) in f64, and the peer's errors."""
    reference = outcome(ways.Way(), torch.float64, *given)
    return {f"f64.{name}": value for name, value in reference.items()} | ways.largest_errors(reference, outcome, *given)


def train(model, batches):
    plain = [p for n, p in model.named_parameters() if n.endswith(".bias") or "LayerNorm" in n]
    decayed = [p for n, p in model.named_parameters() if not (n.endswith(".bias") or "LayerNorm" in n)]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}],
                                  lr=RATE, foreach=False)
    schedule = get_linear_schedule_with_warmup(optimizer, WARM_UP, STEPS)
    losses, norms = [], []
    for batch in batches:
        optimizer.zero_grad()
        loss = loss_of(model(*tensors(batch))[2], batch)
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)))
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return np.array(losses), np.array(norms)


def fresh(config, state, dtype, attention):
    config._attn_implementation = attention
    bert = BertModel(config, add_pooling_layer=True)
    model = Classifier(bert, seed=5)
    model.load_state_dict(state)
    return model.to(dtype).eval()  # eval: no dropout


def tiny_model(activation="gelu"):
    torch.manual_seed(3)
    config = BertConfig(vocab_size=61, hidden_size=36, num_hidden_layers=2, num_attention_heads=3, intermediate_size=70,
                        max_position_embeddings=23, initializer_range=0.2, hidden_act=activation,
                        attn_implementation="eager")
    first = Classifier(BertModel(config, add_pooling_layer=True), seed=5)
    with torch.no_grad():  # gains and biases that matter
        for name, p in first.named_parameters():
            if name.endswith(".bias") or "LayerNorm" in name:
                p.add_(torch.randn(p.shape) * 0.1)
    return config, first, {k: v.clone() for k, v in first.state_dict().items()}


def tiny():
    config, first, state = tiny_model()
    save_file({n.removeprefix("bert."): p.detach().numpy() for n, p in first.named_parameters()}, FOLDER / "tiny.safetensors")
    write_config(config, FOLDER / "tiny_config.json")
    random, out = np.random.default_rng(7), {}
    batch = batch_of(random, config, [7, 1, 23, 2, 16])
    describe("", batch, out)
    steps = [batch_of(random, config, list(random.integers(1, 20, random.integers(2, 7)))) for _ in range(STEPS)]
    for i, each in enumerate(steps):
        describe(f"step.{i}.", each, out)
    out |= compared(config, state, batch, None, steps)
    save_file(out, FOLDER / "tiny_expected.safetensors", metadata=versions())


class Sample:
    """A `keep` for outcome: the same places of a gradient whenever it is asked, then its largest size."""

    def __init__(self, random, most):
        self.random, self.most, self.chosen = random, most, {}

    def __call__(self, name, gradient):
        if name not in self.chosen:
            flat = np.flatnonzero(gradient) if "embeddings" in name else np.arange(gradient.size)
            self.chosen[name] = np.sort(self.random.choice(flat, min(self.most, flat.size), replace=False))
        return np.concatenate([gradient.ravel()[self.chosen[name]], [np.abs(gradient).max()]])

    def places(self):
        return {f"places.{name.removeprefix('bert.')}": places.astype(np.int32) for name, places in self.chosen.items()}


def tiny_gelu_new():
    config, _, state = tiny_model("gelu_new")
    random, out = np.random.default_rng(9), {}
    batch = batch_of(random, config, [7, 1, 23, 2, 16])
    describe("", batch, out)
    keep = Sample(random, 20)
    out |= compared(config, state, batch, keep)
    out |= keep.places()
    save_file(out, FOLDER / "tiny_gelu_new_expected.safetensors", metadata=versions())


def write_config(config, path):
    path.write_text(json.dumps(
        {k: v for k, v in config.to_dict().items() if k in (
            "attention_probs_dropout_prob", "hidden_act", "hidden_dropout_prob", "hidden_size", "initializer_range",
            "intermediate_size", "layer_norm_eps", "max_position_embeddings", "model_type", "num_attention_heads",
            "num_hidden_layers", "pad_token_id", "type_vocab_size", "vocab_size")}, indent=1) + "\n")


def minilm(folder):
    bert = real_model(folder)
    config, state = bert.config, Classifier(bert, seed=5).state_dict()
    random, out = np.random.default_rng(8), {}
    batch = batch_of(random, config, [9, 2, 17])
    describe("", batch, out)
    keep = Sample(random, 120)
    out |= compared(config, state, batch, keep)
    out |= keep.places()
    out["head.weight"], out["head.bias"] = (state[k].numpy() for k in ("head.weight", "head.bias"))
    save_file(out, FOLDER / "minilm_expected.safetensors", metadata=versions())


def embeddings(model, tokenizer, texts, longest):
    """(texts, D): tokens, hidden states, their mean, length 1, as sentence-transformers makes them; padded batches of 32."""
    tokenizer.enable_truncation(longest)
    tokenizer.enable_padding()
    out = []
    for at in range(0, len(texts), 32):
        encoded = tokenizer.encode_batch(texts[at:at + 32])
        ids, mask = (torch.tensor([getattr(e, part) for e in encoded]) for part in ("ids", "attention_mask"))
        with torch.no_grad():
            states = model(ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
        out.append(torch.nn.functional.normalize(mean, p=2, dim=1))
    return torch.cat(out).numpy()


def sentences(minilm_folder):
    torch.manual_seed(4)
    config = BertConfig(vocab_size=Tokenizer.from_file(str(SMALL_TOKENIZER)).get_vocab_size(), hidden_size=8, num_hidden_layers=1,
                        num_attention_heads=2, intermediate_size=12, max_position_embeddings=64, initializer_range=0.5,
                        attn_implementation="eager")
    small = BertModel(config, add_pooling_layer=False)
    save_file({n: p.detach().numpy() for n, p in small.named_parameters()}, FOLDER / "sentences_model.safetensors")
    write_config(config, FOLDER / "sentences_config.json")
    models = {"small": (small, SMALL_TOKENIZER, 64)}
    if minilm_folder:
        models["minilm"] = (real_model(minilm_folder), pathlib.Path(minilm_folder) / "tokenizer.json", 256)
    out = {}
    for name, (model, tokenizer, longest) in models.items():
        for kind, dtype in (("f64", torch.float64), ("f32", torch.float32)):
            out[f"{name}.{kind}"] = embeddings(model.to(dtype).eval(), Tokenizer.from_file(str(tokenizer)), SENTENCES, longest)
    save_file(out, FOLDER / "sentences_expected.safetensors", metadata=versions() | {"texts": "\n".join(SENTENCES)})


def real_model(folder, implementation="eager"):
    return BertModel.from_pretrained(folder, config=BertConfig.from_pretrained(folder, attn_implementation=implementation))


def versions():
    return {"torch": torch.__version__, "transformers": transformers.__version__}


if __name__ == "__main__":
    torch.set_num_threads(1)
    tiny()
    tiny_gelu_new()
    sentences(sys.argv[1] if len(sys.argv) > 1 else None)
    if len(sys.argv) > 1:
        minilm(sys.argv[1])
