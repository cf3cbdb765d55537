"""How far PyTorch's own 16-bit and 8-bit arithmetic is from f64: python tests/oracles/precision/make.py

Needs the packages of bench/peers/requirements.txt. Writes precision.safetensors beside itself. tests/nn/precision.cpp makes the
same operations by the same names, in f64 and in bf16 or int8. For every case NAME, from f32 inputs, without and with autocast to
bf16 on the processor (the peer at its own choice of what is rounded), or with dynamically quantised int8 products:
  NAME/in/X      an input, (rows, columns)         NAME/ids/X   whole numbers
  NAME/dy        the gradient of a loss by the output
  NAME/facts/Y   of Y = out, d/X (the gradient by input X): the peer's largest error, and the reference's sum and root of the
                 sum of squares - enough to see that both sides compute the same; NaN where masks differ
Cases that differ in a setting only, not in shape or distribution, are a group: the peer's error there is its largest of it.
"""
import importlib.util
import pathlib
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

FOLDER = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location("ops", FOLDER.parent / "ops/make.py")
ops = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ops)
dropped, ACTIVATIONS = ops.dropped, ops.ACTIVATIONS

random = np.random.default_rng(23)
cases = {}
ROWS = 140  # four blocks of rows


def normal(*shape, scale=1.0):
    """What f16 holds, so that the file is small; bf16 has to round it."""
    return (random.standard_normal(shape) * scale).astype(np.float16).astype(np.float32)


def weight(out, wide):
    return normal(out, wide, scale=wide**-0.5)


def case(name, inputs, run, ids=None, group=None, comparable=True):
    ids = {k: np.asarray(v, dtype=np.int32) for k, v in (ids or {}).items()}
    cases[name] = (inputs, ids, run, group or name, comparable)


def node(number):
    """The stream of dropout of operation `number` in step 0."""
    return number << 4


def linears():
    for i, (rows, wide, out) in enumerate([(1, 1, 1), (3, 33, 17), (ROWS, 40, 67)]):
        for name, act in ACTIVATIONS.items():
            if name == "relu" and i == 2:  # of so many sums one lies so near the kink that its slope turns over
                continue
            inputs = {"x": normal(rows, wide), "w": weight(out, wide), "b": normal(1, out), "residual": normal(rows, out)}
            case(f"linear/{name}/{i}", inputs, lambda x, _, act=act: act(F.linear(x["x"], x["w"], x["b"][0])) + x["residual"], group=f"linear/{i}")
            plain = {k: inputs[k] for k in ("x", "w", "b")}
            case(f"kept/{name}/{i}", plain, lambda x, _, act=act: dropped(act(F.linear(x["x"], x["w"], x["b"][0])), 0, 0.4), group=f"kept/{i}")

    def joined(x, _):
        parts = [F.linear(x["x"], x["q"], x["bq"][0]), F.linear(x["x"], x["k"]), F.linear(x["x"], x["v"], x["bv"][0])]
        return dropped(F.gelu(torch.cat(parts, 1)), 0, 0.25)

    case("joined", {"x": normal(ROWS, 40), "q": weight(33, 40), "bq": normal(1, 33), "k": weight(1, 40), "v": weight(65, 40),
                    "bv": normal(1, 65)}, joined)

    def chain(x, act):
        wide = dropped(act(F.linear(x["x"], x["w1"], x["b1"][0])), node(0), 0.2)
        return x["residual"] + dropped(F.linear(wide, x["w2"], x["b2"][0]), node(1), 0.1)

    for name in ("none", "gelu", "gelu_tanh"):
        case(f"chain/{name}", {"x": normal(ROWS, 33), "w1": weight(70, 33), "b1": normal(1, 70), "w2": weight(17, 70), "b2": normal(1, 17),
                               "residual": normal(ROWS, 17)}, lambda x, _, act=ACTIVATIONS[name]: chain(x, act), group="chain")


def low_rank():
    def terms(x, _):
        one = F.linear(x["x"], x["w1"], x["c1"][0]) + 2 * F.linear(F.linear(dropped(x["x"], node(0), 0.2, 16), x["a1"]), x["b1"])
        two = F.linear(x["x"], x["w2"]) - 0.5 * F.linear(F.linear(x["x"], x["a2"]), x["b2"])
        return F.gelu(torch.cat([one, two], 1))

    narrow = {"w1": weight(33, 40), "c1": normal(1, 33), "a1": weight(3, 40), "b1": normal(33, 3), "w2": weight(20, 40), "a2": weight(5, 40),
              "b2": normal(20, 5)}
    case("terms", {"x": normal(ROWS, 40)} | narrow, terms)

    # x is kept in bf16 here: its gradient comes from the product and from the narrow product
    def behind(x, _):
        h = F.linear(x["x"], x["w0"])
        return F.linear(h, x["w1"], x["c1"][0]) + 2 * F.linear(F.linear(h, x["a1"]), x["b1"])

    case("terms_kept", {"x": normal(ROWS, 30), "w0": weight(40, 30)} | {k: narrow[k] for k in ("w1", "c1", "a1", "b1")}, behind)

    lengths, adapters = [0, 3, 1, 0, 65, 2, 65, 4, 0], [2, 1, 1, 0, 2, 0, 1, 2, 1]
    assert sum(lengths) == ROWS

    def mixed(x, ids):
        who = ids["adapters"].repeat_interleave(ids["lengths"])[:, None]
        out = F.linear(x["x"], x["w"])
        for k in (1, 2):
            out = out + k * (F.linear(F.linear(x["x"], x[f"a{k}"]), x[f"b{k}"]) * (who == k).to(out.dtype))
        return F.gelu(out)

    case("mixed", {"x": normal(ROWS, 40), "w": weight(37, 40), "a1": weight(3, 40), "b1": normal(37, 3), "a2": weight(5, 40), "b2": normal(37, 5)},
         mixed, {"lengths": lengths, "adapters": adapters})


def attention():
    def attend(x, lengths, heads, kv_heads, causal, drop):
        width = x["q"].shape[0] // heads
        q, k, v = (F.linear(x["x"], x[part]) for part in "qkv")
        prefix = len(x["prefix_k"]) if "prefix_k" in x else 0
        out, start = [], 0
        for n in lengths:
            def head(part, count, front=None):
                rows = part[start:start + n]
                if front is not None:
                    rows = torch.cat([front.to(rows.dtype), rows])
                return rows.reshape(len(rows), count, width).transpose(0, 1)

            seen = torch.ones(n, n, dtype=torch.bool).tril() if causal else torch.ones(n, n, dtype=torch.bool)
            seen = torch.cat([torch.ones(n, prefix, dtype=torch.bool), seen], 1)
            a, b, c = head(q, heads), head(k, kv_heads, x.get("prefix_k")), head(v, kv_heads, x.get("prefix_v"))
            b, c = (m.repeat_interleave(heads // kv_heads, 0) for m in (b, c))
            if n and drop:  # masks are not ours, their share is
                p = torch.softmax((a @ b.transpose(1, 2)) * width**-0.5 + torch.where(seen, 0.0, -torch.inf).to(a.dtype), -1)
                mask = torch.rand(p.shape, generator=torch.Generator().manual_seed(len(out))) >= drop
                row = (p * mask.to(p.dtype) / (1 - drop)).to(c.dtype) @ c
            elif n:
                row = F.scaled_dot_product_attention(a[None], b[None], c[None], attn_mask=seen)[0]
            if n:
                out.append(row.transpose(0, 1).reshape(n, heads * width))
            start += n
        return F.linear(torch.cat(out), x["o"]) + x["x"]

    for name, lengths, heads, kv_heads, width, prefix, causal, drop in [
            ("plain", [30, 1, 0, 33, 2], 2, 2, 32, 0, False, 0), ("prefix", [30, 1, 0, 33, 2], 2, 2, 32, 3, False, 0),
            ("causal", [65, 17, 1], 3, 3, 8, 0, True, 0), ("grouped", [65, 17, 1], 4, 2, 16, 2, False, 0),
            ("dropout", [30, 1, 0, 33, 2], 2, 2, 32, 3, False, 0.25)]:
        d, shared = heads * width, kv_heads * width
        inputs = {"x": normal(sum(lengths), d), "q": weight(d, d), "k": weight(shared, d), "v": weight(shared, d), "o": weight(d, d)}
        if prefix:
            inputs |= {"prefix_k": normal(prefix, shared), "prefix_v": normal(prefix, shared)}
        case(f"attention/{name}", inputs, lambda x, _, a=(lengths, heads, kv_heads, causal, drop): attend(x, *a), {"lengths": lengths, "heads": [heads, kv_heads]},
             comparable=not drop)


def quantised():
    for i, (rows, wide, out) in enumerate([(1, 1, 1), (3, 33, 17), (ROWS, 40, 67)]):
        for name in ("none", "gelu"):
            case(f"int8/{name}/{i}", {"x": normal(rows, wide), "w": weight(out, wide), "b": normal(1, out)},
                 lambda x, _, act=ACTIVATIONS[name]: act(F.linear(x["x"], x["w"], x["b"][0])), group=f"int8/{i}")


def facts_of(reference, peer, comparable):
    reference, peer = reference.detach().double().numpy(), peer.detach().double().numpy()
    error = np.abs(reference - peer).max() if reference.size else 0.0
    return np.float64([error, reference.sum() if comparable else np.nan, np.sqrt((reference**2).sum()) if comparable else np.nan])


def bf16(inputs, ids, run, dy):
    results = []
    for dtype in (torch.float64, torch.float32):
        x = {k: torch.from_numpy(v).to(dtype).requires_grad_() for k, v in inputs.items()}
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.float32):
            out = run(x, ids)
        (out.to(dtype) * torch.from_numpy(dy).to(dtype)).sum().backward()
        results.append({"out": out} | {f"d/{k}": v.grad for k, v in x.items()})
    return results


def int8(inputs, ids, run):
    """Dynamic quantisation: int8 weights, 8-bit activations, with the engine PyTorch has for x86."""
    exact = run({k: torch.from_numpy(v).double() for k, v in inputs.items()}, ids)
    product = torch.nn.Linear(*inputs["w"].shape[::-1])
    product.weight.data, product.bias.data = torch.from_numpy(inputs["w"]), torch.from_numpy(inputs["b"][0])
    quick = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(product), {torch.nn.Linear}, dtype=torch.qint8)
    x, none, eye = torch.from_numpy(inputs["x"]), torch.zeros(len(inputs["b"][0])), torch.eye(len(inputs["b"][0]))
    made = run({"x": quick(x), "w": eye, "b": none[None]}, ids)  # the activation alone
    return {"out": exact}, {"out": made}


def main():
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.backends.quantized.engine = "fbgemm"
    for group in (linears, low_rank, attention, quantised):
        group()
    stored = {}
    for name, (inputs, ids, run, _, comparable) in cases.items():
        numbers = {k: torch.from_numpy(v).long() for k, v in ids.items()}
        shape = run({k: torch.from_numpy(v) for k, v in inputs.items()}, numbers).shape
        dy = normal(*shape)
        reference, peer = int8(inputs, numbers, run) if name.startswith("int8/") else bf16(inputs, numbers, run, dy)
        for what, value in reference.items():
            stored[f"{name}/facts/{what}"] = facts_of(value, peer[what], comparable)
        stored |= {f"{name}/dy": dy.astype(np.float16)} | {f"{name}/in/{k}": v.astype(np.float16) for k, v in inputs.items()}
        stored |= {f"{name}/ids/{k}": v for k, v in ids.items()}
    save_file({k: np.ascontiguousarray(v) for k, v in stored.items()}, FOLDER / "precision.safetensors",
              metadata={"torch": torch.__version__, "cases": "\n".join(f"{name} {facts[-2]}" for name, facts in cases.items())})
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
