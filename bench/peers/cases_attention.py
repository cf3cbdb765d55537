"""Attention against torch's scaled_dot_product_attention: every backend that runs on the processor, both layouts of
its tensors. Forward passes in inference mode; `training` is the forward and the backward pass together.
"""
from __future__ import annotations

from case import Case, Contest, NotRun, Ratio, Setting, check_2x, dataset, peer
from fair import Arm

SEED = 1
SHAPES = {"t128": (8, 12, 128, 32, 1.2), "t512": (4, 12, 512, 64, 1.2), "t4096": (1, 8, 4096, 64, 1.1)}  # B, H, T, D, target
EPSILON = {"f32": 2.0**-23, "bf16": 2.0**-7}
NAMES = ("out", "dq", "dk", "dv")


def reference(torch, given):
    """out, dq, dk, dv in f64 from the definition, head by head: scores of all heads at once would fill the memory."""
    q, k, v, dout = (x.double().flatten(0, 1) for x in given)
    results = [torch.empty_like(q) for _ in NAMES]
    scale = q.shape[-1]**-0.5
    for h in range(q.shape[0]):
        p = torch.softmax(q[h] @ k[h].T * scale, dim=-1)
        dp = dout[h] @ v[h].T
        ds = p * (dp - (p * dp).sum(dim=-1, keepdim=True)) * scale
        for result, value in zip(results, (p @ v[h], ds @ k[h], ds.T @ q[h], p.T @ dout[h])):
            result[h] = value
    return [r.reshape(given[0].shape).numpy() for r in results]


def torch_arms(torch, given, dtype: str, training: bool, threads: int):
    """(arm, results) of every backend and layout that runs."""
    kinds = torch.nn.attention.SDPBackend
    attend = torch.nn.functional.scaled_dot_product_attention
    for layout in ("B H T D", "B T H D"):
        tensors = [x.to(getattr(torch, {"f32": "float32", "bf16": "bfloat16"}[dtype])) for x in given]
        if layout == "B T H D":  # what a projection gives: heads side by side
            tensors = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in tensors]
        q, k, v, dout = tensors
        for kind in (kinds.FLASH_ATTENTION, kinds.MATH):
            def call(kind=kind, inputs=(q, k, v), dout=dout):
                with torch.nn.attention.sdpa_kernel(kind):
                    if not training:
                        with torch.inference_mode():
                            return (attend(*inputs),)
                    leaves = [x.detach().requires_grad_(True) for x in inputs]
                    out = attend(*leaves)
                    return (out.detach(), *torch.autograd.grad(out, leaves, dout))
            try:
                results = [x.float().numpy().copy() for x in call()]
            except RuntimeError:  # the backend does not take these tensors
                continue
            name = f"torch {kind.name.lower()}, {layout}"
            yield Arm(name, call, torch.__version__, dtype=dtype, threads=threads), results


def attention(shape: str, dtype: str, training: bool):
    def build(setting: Setting) -> Contest:
        np, torch, library = peer("numpy"), peer("torch"), setting.library()
        torch.set_num_threads(setting.threads)
        batch, heads, length, width, target = SHAPES[shape]
        generator = torch.Generator().manual_seed(SEED)
        given = [torch.randn(batch, heads, length, width, generator=generator).to(torch.bfloat16).float() for _ in range(4)]
        stacked = np.ascontiguousarray(torch.stack(given).numpy())
        prepared = library.attention(dtype, batch, heads, length, width, training, setting.threads)
        out = np.zeros((prepared.rows, batch, heads, length, width), np.float32)
        run = prepared.call(stacked, out)
        run()
        ours = Arm("hocket attention", run, library.version(), dtype=dtype, threads=setting.threads)
        exact = reference(torch, given)
        arms, theirs = [], []
        for arm, results in torch_arms(torch, given, dtype, training, setting.threads):
            arms.append(arm)
            theirs.append(results)
        if not arms:
            raise NotRun("torch has no backend for these tensors")
        checks = []
        for i, name in enumerate(NAMES[:len(out)]):  # ours is held against the most exact of them
            best = min(range(len(arms)), key=lambda a: np.max(np.abs(theirs[a][i] - exact[i])))
            checks.append(check_2x(name, arms[best].name, arms[best].version, out[i], theirs[best][i], exact[i],
                                   EPSILON[dtype], 2 if i == 0 else 3))
        what = "forward and backward" if training else "forward"
        ratios = [Ratio(f"fastest torch / hocket attention, {what}", [a.name for a in arms], [ours.name], "higher", target)]
        return Contest([ours, *arms], ratios, work=batch * length, work_unit="tokens", checks=checks,
                       config={"batch": batch, "heads": heads, "length": length, "width": width, "dtype": dtype,
                               "pass": what},
                       data=[dataset(f"normal values, 4 x {batch} x {heads} x {length} x {width}", f"seed {SEED}", stacked,
                                     True)],
                       libraries={"torch": torch.__version__})
    return build


CASES = [
    Case(f"attention-{shape}-{'training' if training else 'forward'}-{dtype}",
         f"fastest torch / our attention, (B, H, T, D) = {SHAPES[shape][:4]}, {dtype}, two threads; target >= {SHAPES[shape][4]}",
         attention(shape, dtype, training), threads=2, rounds=12 if shape == "t4096" else 20, needs=("torch",))
    for shape in SHAPES for training in (False, True) for dtype in ("f32", "bf16")
]
