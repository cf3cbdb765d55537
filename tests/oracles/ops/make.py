"""What PyTorch makes of each operation of the tape: python tests/oracles/ops/make.py

Needs the packages of bench/peers/requirements.txt. Writes ops.safetensors beside itself. For every case NAME, from the same
f32 inputs, in f64 (the reference) and in f32 (the peer):
  NAME/in/X        an input, (rows, columns)            NAME/ids/X   whole numbers
  NAME/dy          the gradient of a loss by the output
  NAME/f64/out, NAME/f32/out                            the output
  NAME/f64/d/X, NAME/f32/d/X                            the gradient by input X
  NAME/magnitude/...     the most that the sizes of a sum's terms add up to, where that is more than the result
tests/nn/parity.cpp has the same operation by the same name. Ragged batches are packed, item after item. Cases that differ in
a setting only, not in shape or distribution, are a group: a small draw may be lucky, so PyTorch's error there is its largest
of the group.
"""
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

FOLDER = pathlib.Path(__file__).parent
SEED = 5  # of the dropout masks, as parity.cpp
SIZES = [(1, 1), (2, 7), (5, 67)]
random = np.random.default_rng(11)
cases = {}


def normal(*shape, scale=1.0):
    return (random.standard_normal(shape) * scale).astype(np.float32)


def case(name, inputs, run, ids=None, fixed=(), magnitude=None, group=None):
    """`run(x, ids)` of tensors by name gives the output; inputs named in `fixed` get no gradient. `magnitude(x, dy)` of
    arrays gives the largest terms for some of the results."""
    ids = {k: np.asarray(v, dtype=np.int32) for k, v in (ids or {}).items()}
    cases[name] = (inputs, ids, run, fixed, magnitude, group or name)


def stays(rows, columns, stream, p, bits=32):
    """(mask, scale) of kernels/epilogue/shape.hpp: which elements a dropout of probability p keeps; with 16 bits an element
    those of kernels/low_rank/shape.hpp."""
    threshold = min(round(p * 2**bits), 2**bits - 1)
    group = 64 * 32 // bits
    groups = (columns + group - 1) // group
    r, c = np.meshgrid(np.arange(rows, dtype=np.uint64), np.arange(columns, dtype=np.uint64), indexing="ij")
    block = (r * np.uint64(groups) + c // np.uint64(group)) * np.uint64(16) + c % np.uint64(16)
    low = np.uint64(0xFFFFFFFF)
    x = [block & low, block >> np.uint64(32), np.full_like(block, stream & 0xFFFFFFFF), np.full_like(block, stream >> 32)]
    k0, k1 = SEED, 0
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * x[0], np.uint64(0xCD9E8D57) * x[2]
        x = [(p1 >> np.uint64(32)) ^ x[1] ^ np.uint64(k0), p1 & low, (p0 >> np.uint64(32)) ^ x[3] ^ np.uint64(k1), p0 & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    word = np.choose(((c % np.uint64(64)) // np.uint64(16)).astype(int), x)
    part = (word >> (c % np.uint64(group) // np.uint64(64) * np.uint64(16))) & np.uint64(2**bits - 1)
    return torch.from_numpy(part >= threshold), 1 / (1 - threshold / 2**bits)


def dropped(y, stream, p, bits=32):
    mask, scale = stays(*y.shape, stream, p, bits)
    return y * (mask.to(y.dtype) * scale)


ACTIVATIONS = {"none": lambda x: x, "relu": F.relu, "gelu": F.gelu, "tanh": torch.tanh, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh")}


def norm_terms(x, dy):
    """(x / sd) gain + bias, and dy gain / sd: what the mean is taken from before the result."""
    sd = np.sqrt(x["x"].astype(np.float64).var(1, keepdims=True) + 1e-5)
    return {"out": np.abs(x["x"] / sd * x["gain"]).max() + np.abs(x["bias"]).max(), "d/x": np.abs(dy * x["gain"] / sd).max()}


def pointwise():
    for name, act in list(ACTIVATIONS.items())[1:]:
        for i, size in enumerate(SIZES):
            case(f"{name}/{i}", {"x": normal(*size, scale=2)}, lambda x, _, act=act: act(x["x"]))
    for i, size in enumerate(SIZES):
        case(f"dropout/{i}", {"x": normal(*size)}, lambda x, _: dropped(x["x"], 0, 0.3))
        case(f"add/{i}", {"a": normal(*size), "b": normal(*size)}, lambda x, _: x["a"] + x["b"])
        case(f"multiply/{i}", {"a": normal(*size), "b": normal(*size)}, lambda x, _: x["a"] * x["b"])
        case(f"scaled/{i}", {"x": normal(*size)}, lambda x, _: -1.75 * x["x"] + 0.5)
        case(f"softmax/{i}", {"x": normal(*size, scale=4)}, lambda x, _: F.softmax(x["x"], 1))
        case(f"unit_rows/{i}", {"x": normal(*size)}, lambda x, _: F.normalize(x["x"], dim=1, eps=1e-12))
        case(f"layer_norm/{i}", {"x": normal(*size) + np.float32(0.5), "gain": 1 + normal(1, size[1]), "bias": normal(1, size[1])},
             lambda x, _: F.layer_norm(x["x"], x["x"].shape[1:], x["gain"][0], x["bias"][0], 1e-5), magnitude=norm_terms)
        case(f"sum/{i}", {"x": normal(*size)}, lambda x, _: x["x"].sum().reshape(1, 1))
        case(f"mean/{i}", {"x": normal(*size)}, lambda x, _: x["x"].mean().reshape(1, 1))
        case(f"row_sums/{i}", {"x": normal(*size)}, lambda x, _: x["x"].sum(1, keepdim=True))
    case("short_rows", {"x": normal(3, 7)}, lambda x, _: F.normalize(x["x"], dim=1, eps=100))


def arrange():
    case("reshape", {"x": normal(6, 10)}, lambda x, _: x["x"].reshape(4, 15))
    case("slice_columns", {"x": normal(5, 13)}, lambda x, _: x["x"][:, 3:10])
    case("slice_rows", {"x": normal(7, 3)}, lambda x, _: x["x"][2:6])
    case("concat_columns", {"a": normal(5, 7), "b": normal(5, 1), "c": normal(5, 4)}, lambda x, _: torch.cat([x["a"], x["b"], x["c"], x["a"]], 1))
    case("concat_rows", {"a": normal(2, 7), "b": normal(3, 7)}, lambda x, _: torch.cat([x["a"], x["b"]], 0))
    case("gather", {"x": normal(4, 33)}, lambda x, ids: x["x"][ids["ids"]], {"ids": random.integers(0, 4, 19)})
    for i, (m, k, n) in enumerate([(1, 1, 1), (5, 33, 7), (67, 3, 5)]):
        case(f"matmul/{i}", {"a": normal(m, k), "b": normal(k, n)}, lambda x, _: x["a"] @ x["b"])
        case(f"matmul_turned/{i}", {"a": normal(m, k), "b": normal(n, k)}, lambda x, _: x["a"] @ x["b"].T)


def linear_terms(x, dy):
    """|x| |w|' + |b| + |residual|; a slope is at most 1.13, with dropout of 0.4 times 1 / 0.6."""
    size = {name: np.abs(value) for name, value in x.items()}
    slope = np.abs(dy) / 0.6
    return {"out": (size["x"] @ size["w"].T + size.get("b", 0) + size.get("residual", 0)).max(), "d/x": (slope @ size["w"]).max(),
            "d/w": (slope.T @ size["x"]).max(), "d/b": slope.sum(0).max()}


def linear():
    for name, act in ACTIVATIONS.items():
        for i, (rows, wide, out) in enumerate([(1, 1, 1), (3, 33, 17), (67, 5, 9)]):
            inputs = {"x": normal(rows, wide), "w": normal(out, wide, scale=wide**-0.5), "b": normal(1, out), "residual": normal(rows, out)}
            case(f"linear/{name}/{i}", inputs, lambda x, _, act=act: act(F.linear(x["x"], x["w"], x["b"][0])) + x["residual"], magnitude=linear_terms, group=f"linear/{i}")
            plain = {k: v for k, v in inputs.items() if k in ("x", "w")}
            case(f"linear_dropout/{name}/{i}", plain, lambda x, _, act=act: dropped(act(F.linear(x["x"], x["w"])), 0, 0.4), magnitude=linear_terms, group=f"linear_dropout/{i}")

    def joined(x, _):
        parts = [F.linear(x["x"], x["q"], x["bq"][0]), F.linear(x["x"], x["k"]), F.linear(x["x"], x["v"], x["bv"][0])]
        return dropped(F.gelu(torch.cat(parts, 1)), 0, 0.25)

    case("linear_joined", {"x": normal(9, 5), "q": normal(7, 5), "bq": normal(1, 7), "k": normal(1, 5), "v": normal(65, 5),
                           "bv": normal(1, 65)}, joined, magnitude=lambda x, dy: {
                               f"d/{b}": np.abs(dy).sum(0).max() / 0.75 for b in ("bq", "bv")})


def layers():
    for i, (rows, columns) in enumerate([(1, 1), (23, 17), (70, 3)]):
        case(f"embedding/{i}", {"words": normal(7, columns), "places": normal(9, columns), "types": normal(2, columns)},
             lambda x, ids: x["words"][ids["words"]] + x["places"][ids["places"]] + x["types"][ids["types"]],
             {"words": random.integers(0, 7, rows), "places": np.arange(rows) % 9, "types": np.zeros(rows)})
    for i, lengths in enumerate([[1], [3, 0, 7], [2, 33, 1]]):
        ends = np.cumsum(lengths)

        def items(x, lengths=lengths, ends=ends):
            return [x[end - n:end] for n, end in zip(lengths, ends)]

        def mean(x, _, items=items):
            return torch.stack([part.mean(0) if len(part) else x["x"].new_zeros(x["x"].shape[1]) for part in items(x["x"])])

        def first(x, _, items=items):
            return torch.stack([part[0] if len(part) else x["x"].new_zeros(x["x"].shape[1]) for part in items(x["x"])])

        case(f"pool_mean/{i}", {"x": normal(sum(lengths), 5)}, mean, {"lengths": lengths})
        case(f"pool_first/{i}", {"x": normal(sum(lengths), 5)}, first, {"lengths": lengths})


def attention():
    """Ragged items, packed or apart; shapes and masks of even batches are tests/oracles/attention."""
    def attend(x, heads, lengths, causal, packed):
        columns = x["qkv"].shape[1] // 3 if packed else x["q"].shape[1]
        q, k, v = x["qkv"].split(columns, 1) if packed else (x["q"], x["k"], x["v"])
        prefix = len(x["prefix_k"]) if "prefix_k" in x else 0
        out, start = [], 0
        for n in lengths:
            def head(part, front=None):
                rows = part[start:start + n]
                if front is not None:
                    rows = torch.cat([front, rows])
                return rows.reshape(len(rows), heads, -1).transpose(0, 1)

            seen = torch.ones(n, n, dtype=torch.bool).tril() if causal else torch.ones(n, n, dtype=torch.bool)
            seen = torch.cat([torch.ones(n, prefix, dtype=torch.bool), seen], 1)
            if n:
                row = F.scaled_dot_product_attention(head(q)[None], head(k, x.get("prefix_k"))[None], head(v, x.get("prefix_v"))[None],
                                                     attn_mask=seen)
                out.append(row[0].transpose(0, 1).reshape(n, columns))
            start += n
        return torch.cat(out)

    for heads, width, lengths in [(2, 3, [3, 1, 0, 7, 2]), (1, 4, [70, 1])]:
        tokens, columns = sum(lengths), heads * width
        for packed, prefix, causal in [(True, 0, False), (True, 3, False), (False, 2, True)]:
            inputs = {"qkv": normal(tokens, 3 * columns)} if packed else {part: normal(tokens, columns) for part in "qkv"}
            if prefix:
                inputs |= {"prefix_k": normal(prefix, columns), "prefix_v": normal(prefix, columns)}
            case(f"attention/{heads}x{width}" + "/packed" * packed + "/prefix" * bool(prefix) + "/causal" * causal, inputs,
                 lambda x, _, a=(heads, lengths, causal, packed): attend(x, *a), {"lengths": lengths, "heads": [heads]},
                 magnitude=lambda x, dy: {"out": max(np.abs(v).max() for k, v in x.items() if k[-1] == "v")}, group=f"attention/{heads}x{width}")


def losses():
    for i, (rows, classes) in enumerate([(1, 2), (67, 5), (4, 33)]):
        labels = {"labels": random.integers(0, classes, rows)}
        for percent in (0, 10, 100):
            case(f"cross_entropy/{percent}/{i}", {"z": normal(rows, classes, scale=3)},
                 lambda x, ids, s=percent / 100: F.cross_entropy(x["z"], ids["labels"], label_smoothing=s).reshape(1, 1), labels)
        q = random.dirichlet(np.ones(classes), rows).astype(np.float32)
        case(f"soft_cross_entropy/{i}", {"z": normal(rows, classes, scale=3), "q": q},
             lambda x, _: F.cross_entropy(x["z"], x["q"]).reshape(1, 1), fixed=("q",))
    for i, (rows, columns) in enumerate(SIZES):
        two = {"x": normal(rows, columns, scale=3), "t": random.random((rows, columns)).astype(np.float32)}
        case(f"mse/{i}", two, lambda x, _: F.mse_loss(x["x"], x["t"]).reshape(1, 1))
        case(f"binary_cross_entropy/{i}", two, lambda x, _: F.binary_cross_entropy_with_logits(x["x"], x["t"]).reshape(1, 1), fixed=("t",))
        pair = {"a": normal(rows, columns), "b": normal(rows, columns)}
        case(f"cosine_similarity/{i}", pair, lambda x, _: F.cosine_similarity(x["a"], x["b"], dim=1).reshape(-1, 1))
        case(f"cosine_loss/{i}", pair, lambda x, _: (1 - F.cosine_similarity(x["a"], x["b"], dim=1)).mean().reshape(1, 1))
        case(f"info_nce/{i}", pair, lambda x, _, n=rows: F.cross_entropy(
            F.normalize(x["a"], dim=1) @ F.normalize(x["b"], dim=1).T / 0.2, torch.arange(n)).reshape(1, 1),
             magnitude=lambda x, dy: {"out": 1 / 0.2})  # of a score


def main():
    torch.set_num_threads(1)
    for group in (pointwise, arrange, linear, layers, attention, losses):
        group()
    stored = {}
    for name, (inputs, ids, run, fixed, magnitude, _) in cases.items():
        for kind, dtype in (("f64", torch.float64), ("f32", torch.float32)):
            x = {k: torch.from_numpy(v).to(dtype).requires_grad_(k not in fixed) for k, v in inputs.items()}
            out = run(x, {k: torch.from_numpy(v).long() for k, v in ids.items()})
            if kind == "f64":
                dy = normal(*out.shape)
            (out * torch.from_numpy(dy).to(dtype)).sum().backward()
            stored[f"{name}/{kind}/out"] = out.detach().numpy()
            stored |= {f"{name}/{kind}/d/{k}": v.grad.numpy() for k, v in x.items() if k not in fixed}
        stored[f"{name}/dy"] = dy
        for what, size in (magnitude(inputs, dy) if magnitude else {}).items():
            stored[f"{name}/magnitude/{what}"] = np.float64([size])
        stored |= {f"{name}/in/{k}": v for k, v in inputs.items()} | {f"{name}/ids/{k}": v for k, v in ids.items()}
    save_file({k: np.ascontiguousarray(v) for k, v in stored.items()}, FOLDER / "ops.safetensors",
              metadata={"torch": torch.__version__, "cases": "\n".join(f"{name} {facts[-1]}" for name, facts in cases.items())})
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
