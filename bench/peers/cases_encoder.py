"""Embeddings of all-MiniLM-L6-v2 (tokens to the mean of the last states, length 1) against the fastest engine of the same
precision: transformers (attention eager or fused; f32, pure bf16, bf16 autocast), onnxruntime (f32, dynamic int8),
ctranslate2 (f32, int8), OpenVINO (f32, bf16).
"""
from __future__ import annotations

from case import Case, Contest, NotRun, Ratio, Setting, check_2x, check_bound, dataset, peer
from encoder_peers import MODEL, fastest, real_tokens, require_data, transformers
from fair import Arm

SHAPES = {"32x64": (32, 64), "1x64": (1, 64), "8x64": (8, 64), "32x16": (32, 16), "32x256": (32, 256)}
TARGETS = {("f32", "32x64"): 1.2, ("bf16", "32x64"): 1.8, ("f32", "1x64"): 1.0, ("bf16", "1x64"): 1.0, ("int8", "1x64"): 1.0}


def pooled(torch, states, mask):
    """Every row is full: the mean over the tokens, of length 1."""
    return torch.nn.functional.normalize(states.float().mean(1))


def torch_arms(torch, precision: str, ids, threads: int):
    library = transformers()
    mask = torch.ones_like(ids)
    for attention in ("sdpa", "eager"):
        for kind in {"f32": ("f32",), "bf16": ("pure", "autocast")}.get(precision, ()):
            model = library.AutoModel.from_pretrained(str(MODEL), attn_implementation=attention).eval()
            if kind == "pure":
                model = model.bfloat16()

            def call(model=model, autocast=kind == "autocast"):
                with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                    return pooled(torch, model(input_ids=ids, attention_mask=mask).last_hidden_state, mask)
            yield Arm(f"transformers {attention}{'' if kind == 'f32' else ' ' + kind}", call,
                      f"{library.__version__} (torch {torch.__version__})", dtype=precision, threads=threads)


def onnx_file(torch, folder):
    """The model as ONNX, exported once."""
    path = folder / "minilm_l6_v2.onnx"
    if not path.exists():
        peer("onnx"), peer("onnxscript")
        model = transformers().AutoModel.from_pretrained(str(MODEL), attn_implementation="eager", add_pooling_layer=False).eval()

        class States(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.model = model

            def forward(self, input_ids, attention_mask):
                return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        ids = torch.ones(2, 8, dtype=torch.long)
        items, tokens = torch.export.Dim("items", min=1, max=512), torch.export.Dim("tokens", min=3, max=512)
        torch.onnx.export(States(), (ids, torch.ones_like(ids)), str(path) + ".part", dynamo=True, external_data=False,
                          input_names=["input_ids", "attention_mask"], output_names=["states"],
                          dynamic_shapes=({0: items, 1: tokens}, {0: items, 1: tokens}))
        (folder / (path.name + ".part")).rename(path)
    return path


def onnxruntime_arm(torch, precision: str, ids, threads: int, folder):
    ort = peer("onnxruntime")
    path = onnx_file(torch, folder)
    if precision == "int8":
        from onnxruntime.quantization import QuantType, quantize_dynamic
        small = folder / "minilm_l6_v2_int8.onnx"
        if not small.exists():
            quantize_dynamic(str(path), str(small), weight_type=QuantType.QInt8)
        path = small
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = {"input_ids": ids.numpy(), "attention_mask": torch.ones_like(ids).numpy()}
    call = lambda: pooled(torch, torch.from_numpy(session.run(None, given)[0]), None)  # noqa: E731
    return Arm(f"onnxruntime {'dynamic int8' if precision == 'int8' else 'f32'}", call, ort.__version__, dtype=precision, threads=threads)


def ctranslate2_arm(torch, np, precision: str, ids, threads: int, folder):
    ct2 = peer("ctranslate2")
    path = folder / "minilm_l6_v2_ct2"
    if not path.exists():
        transformers()
        ct2.converters.TransformersConverter(str(MODEL)).convert(str(path))
    encoder = ct2.Encoder(str(path), device="cpu", compute_type={"f32": "float32", "int8": "int8_float32"}[precision], intra_threads=threads)
    given = ct2.StorageView.from_array(ids.numpy().astype(np.int32))
    lengths = ct2.StorageView.from_array(np.full(len(ids), ids.shape[1], np.int32))
    call = lambda: pooled(torch, torch.from_numpy(np.array(encoder.forward_batch(given, lengths).last_hidden_state)), None)  # noqa: E731
    return Arm(f"ctranslate2 {precision}", call, ct2.__version__, dtype=precision, threads=threads)


def openvino_arm(torch, precision: str, ids, threads: int, folder):
    ov = peer("openvino")
    compiled = ov.Core().compile_model(str(onnx_file(torch, folder)), "CPU", {
        "INFERENCE_PRECISION_HINT": {"f32": "f32", "bf16": "bf16"}[precision], "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1})
    request = compiled.create_infer_request()
    given = [ids.numpy(), torch.ones_like(ids).numpy()]
    call = lambda: pooled(torch, torch.from_numpy(request.infer(given, share_inputs=True)[0]), None)  # noqa: E731
    return Arm(f"OpenVINO {precision}", call, ov.__version__.split("-")[0], dtype=precision, threads=threads)


def peers(torch, np, precision, ids, setting):
    """(arms, [(name, reason)])."""
    arms, missing = list(torch_arms(torch, precision, ids, setting.threads)), []
    others = {"onnxruntime": lambda: onnxruntime_arm(torch, precision, ids, setting.threads, setting.cache),
              "ctranslate2": lambda: ctranslate2_arm(torch, np, precision, ids, setting.threads, setting.cache),
              "OpenVINO": lambda: openvino_arm(torch, precision, ids, setting.threads, setting.cache)}
    for name in {"f32": ("onnxruntime", "ctranslate2", "OpenVINO"), "bf16": ("OpenVINO",), "int8": ("onnxruntime", "ctranslate2")}[precision]:
        try:
            arm = others[name]()
            arm.run()
            arms.append(arm)
        except NotRun as reason:
            missing.append((name, str(reason)))
        except Exception as reason:  # an export or a conversion that does not work here
            missing.append((name, f"{type(reason).__name__}: {str(reason)[:200]}"))
    return arms, missing


def forward(precision: str, shape: str):
    def build(setting: Setting) -> Contest:
        require_data()
        np, torch, library = peer("numpy"), peer("torch"), setting.library()
        torch.set_num_threads(setting.threads)
        items, length = SHAPES[shape]
        ids = torch.from_numpy(real_tokens(np, items, length)).long()
        given = np.concatenate([np.full(items, length), ids.numpy().ravel()]).astype(np.float32)

        def own(precision):
            prepared = library.embedding(MODEL, precision, items, items * length, length, setting.threads)
            out = np.zeros((prepared.rows, prepared.columns), np.float32)
            run = prepared.call(given, out)
            run()
            return Arm(f"hocket {precision}", run, library.version(), dtype=precision, threads=setting.threads), out
        ours, out = own(precision)
        arms, missing = peers(torch, np, precision, ids, setting)
        if not arms:
            raise NotRun("; ".join(f"{name}: {reason}" for name, reason in missing))
        results = {arm.name: arm.run().numpy() for arm in arms}
        reference_model = transformers().AutoModel.from_pretrained(str(MODEL), attn_implementation="eager").double().eval()
        with torch.inference_mode():
            states = reference_model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
            exact = torch.nn.functional.normalize(states.mean(1)).numpy()
        checks = []
        if precision == "int8":  # no two of them quantise alike: each is held to its cosine
            for name, rows in [(ours.name, out), *results.items()]:
                turned = 1 - float((rows * exact).sum(1).min() / np.linalg.norm(rows, axis=1).max())
                checks.append(check_bound(f"1 - cosine with f64, {name}", name, "", turned, 0.02 if name == ours.name else 0.5))
        else:
            close = [arm for arm in arms if arm.name.startswith("transformers")]
            best = min(close, key=lambda arm: np.max(np.abs(results[arm.name] - exact)))
            checks.append(check_2x("embeddings", best.name, best.version, out, results[best.name], exact,
                                   2.0**-23 if precision == "f32" else 2.0**-8))
        chosen, pilots = fastest(arms, setting.log)
        target = TARGETS.get((precision, shape))
        ratios = [Ratio(f"fastest peer / hocket, embeddings in {precision}, {shape}", [a.name for a in chosen], [ours.name], "higher", target)]
        contestants = [ours, *chosen]
        if precision == "int8":
            other, _ = own("bf16")
            contestants.append(other)
            ratios.append(Ratio(f"hocket bf16 / hocket int8, {shape}", [other.name], [ours.name], "higher", 1.5 if shape == "32x64" else None))
            named = [arm for arm in arms if arm.name == "ctranslate2 int8"]
            if named:
                contestants += [arm for arm in named if arm not in chosen]
                ratios.append(Ratio(f"ctranslate2 int8 / hocket int8, {shape}", ["ctranslate2 int8"], [ours.name], "higher", 3 if shape == "32x64" else None))
        return Contest(contestants, ratios, work=items * length, work_unit="tokens", checks=checks, not_run=missing,
                       config={"items": items, "length": length, "precision": precision, **pilots},
                       data=[dataset("vader_sentiment, movies as tokens of all-MiniLM-L6-v2", shape, given, False)],
                       libraries={"torch": torch.__version__, "transformers": transformers().__version__})
    return build


CASES = [
    Case(f"encoder-forward-{precision}-{shape}",
         f"fastest engine / our embeddings of MiniLM-L6, {precision}, {SHAPES[shape][0]} texts of {SHAPES[shape][1]} tokens, two threads"
         + (f"; target >= {TARGETS[precision, shape]}" if (precision, shape) in TARGETS else ""),
         forward(precision, shape), threads=2, rounds=12, needs=("torch", "transformers"))
    for shape in SHAPES for precision in ("f32", "bf16", "int8")
]
