"""What PyTorch's scaled_dot_product_attention and its gradients are: python tests/oracles/attention/make.py

Needs the packages of bench/peers/requirements.txt. Writes, beside itself, torch.safetensors: for every case
  CASE.q .k .v .dout .prefix_k .prefix_v .bias    inputs, exact in bf16, as f32: (B, H, T, D); a prefix is shared by the items
  CASE.facts                                      batch, heads, kv_heads, queries, keys, width, prefix, causal, window
  f64.CASE.out .dq ...  f32.CASE...  bf16.CASE... the reference and two peers
Masks that PyTorch has no word for (windows, prefixes before causal keys) are given to it as matrices.
"""
import pathlib

import numpy as np
import torch
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent
HIDDEN = float("-inf")
CASES = {  # batch, heads, kv_heads, queries, keys, width, prefix, causal, window, bias
    "plain": (2, 2, 2, 21, 21, 16, 0, False, 0, False),
    "across": (1, 3, 3, 5, 37, 12, 0, False, 0, False),
    "causal": (1, 3, 3, 33, 33, 8, 0, True, 0, False),
    "bias": (2, 2, 2, 19, 19, 8, 0, False, 0, True),
    "bias_across": (1, 2, 2, 17, 19, 8, 0, False, 0, True),
    "window": (1, 2, 2, 31, 31, 8, 0, False, 5, False),
    "causal_window": (1, 2, 2, 31, 31, 8, 0, True, 5, False),
    "grouped": (1, 6, 2, 19, 19, 8, 0, False, 0, False),
    "prefix": (2, 2, 2, 15, 15, 8, 4, False, 0, False),
    "everything": (2, 4, 2, 18, 18, 8, 3, True, 7, True),
}


def mask_of(queries, keys, prefix, causal, window, bias):
    """What is added to the scores: prefix keys first, which every query sees; None where nothing is."""
    if not causal and not window and bias is None:
        return None
    ahead = torch.arange(queries)[:, None] + (keys - queries) - torch.arange(keys)[None, :]
    seen = torch.ones(queries, keys, dtype=torch.bool)
    if causal:
        seen &= ahead >= 0
    if window:
        seen &= ahead.abs() < window
    own = torch.zeros(queries, keys).masked_fill(~seen, HIDDEN)
    own = own + bias if bias is not None else own[None]
    return torch.cat([torch.zeros(own.shape[0], queries, prefix), own], dim=-1)


def outcome(case, given, dtype):
    batch, heads, kv_heads, queries, keys, width, prefix, causal, window, biased = CASES[case]
    leaf = {name: given[name].to(dtype).detach().clone().requires_grad_(name not in ("dout", "bias")) for name in given}
    k, v = leaf["k"], leaf["v"]
    if prefix:
        k, v = (torch.cat([leaf[f"prefix_{x}"].expand(batch, -1, -1, -1), leaf[x]], dim=2) for x in "kv")
    mask = mask_of(queries, keys, prefix, causal, window, given["bias"] if biased else None)
    only_causal = causal and not (window or prefix or biased)
    out = torch.nn.functional.scaled_dot_product_attention(
        leaf["q"], k, v, attn_mask=None if mask is None or only_causal else mask.to(dtype), is_causal=only_causal,
        enable_gqa=heads != kv_heads)
    out.backward(leaf["dout"])
    results = {"out": out.detach(), **{f"d{name}": x.grad for name, x in leaf.items() if x.requires_grad}}
    return {name: x.contiguous() for name, x in results.items()}


def main():
    torch.set_num_threads(1)
    torch.manual_seed(11)
    stored = {}
    for case, facts in CASES.items():
        batch, heads, kv_heads, queries, keys, width, prefix, causal, window, biased = facts
        sizes = {"q": (batch, heads, queries, width), "k": (batch, kv_heads, keys, width), "v": (batch, kv_heads, keys, width),
                 "dout": (batch, heads, queries, width)}
        if prefix:
            sizes |= {"prefix_k": (1, kv_heads, prefix, width), "prefix_v": (1, kv_heads, prefix, width)}
        if biased:
            sizes["bias"] = (heads, queries, keys)
        given = {name: torch.randn(size).to(torch.bfloat16).float() for name, size in sizes.items()}
        if biased:
            given["bias"].view(-1)[5::11] = HIDDEN
        stored |= {f"{case}.{name}": x for name, x in given.items()}
        stored[f"{case}.facts"] = torch.tensor(facts[:9], dtype=torch.int32)
        for kind, dtype in (("f64", torch.float64), ("f32", torch.float32), ("bf16", torch.bfloat16)):
            stored |= {f"{kind}.{case}.{name}": x for name, x in outcome(case, given, dtype).items()}
    for name, x in stored.items():
        assert not np.isnan(x.double().numpy()).any(), name
    save_file(stored, FOLDER / "torch.safetensors", metadata={"torch": torch.__version__})


if __name__ == "__main__":
    main()
