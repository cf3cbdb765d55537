"""A training step (forward, backward, AdamW) of a classifier on all-MiniLM-L6-v2 against PyTorch with peft at their best:
attention eager or fused, AdamW fused or not; f32, and in bf16 autocast and pure bf16. Batch 32 x 64, with and without dropout.
"""
from __future__ import annotations

from case import Case, Contest, Ratio, Setting, check_2x, check_bound, dataset, peer
from encoder_peers import MODEL, fastest, real_tokens, require_data, transformers
from fair import Arm

ITEMS, LENGTH, CLASSES = 32, 64, 3
TARGETS = {("lora", "f32", True): 1.8, ("lora", "f32", False): 1.3, ("lora", "bf16", True): 2.5, ("lora", "bf16", False): 2.0,
           ("full", "f32", True): 1.5, ("full", "f32", False): 1.2, ("full", "bf16", True): 2.0, ("full", "bf16", False): 1.6}


def classifier(torch, attention: str, dropout: bool):
    torch.manual_seed(0)
    off = {} if dropout else {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return transformers().AutoModelForSequenceClassification.from_pretrained(str(MODEL), num_labels=CLASSES, attn_implementation=attention, **off)


def torch_arms(torch, method: str, precision: str, dropout: bool, ids, labels, threads: int):
    """(arm, loss before any step, without dropout)."""
    peft = peer("peft") if method == "lora" else None
    mask = torch.ones_like(ids)
    version = f"{torch.__version__} (transformers {transformers().__version__}{', peft ' + peft.__version__ if peft else ''})"
    for attention in ("sdpa", "eager"):
        for kind in {"f32": ("f32",), "bf16": ("autocast", "pure")}[precision]:
            for fused in (True, False):
                model = classifier(torch, attention, dropout)
                if peft:
                    model = peft.get_peft_model(model, peft.LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, lora_dropout=0.1 if dropout else 0.0,
                                                                       target_modules=["query", "value"]))
                if kind == "pure":
                    model = model.bfloat16()

                def loss_of(model=model, autocast=kind == "autocast"):
                    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                        return model(input_ids=ids, attention_mask=mask, labels=labels).loss
                model.eval()
                with torch.no_grad():
                    before = float(loss_of())
                model.train()
                optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, fused=fused)

                def step(loss_of=loss_of, optimiser=optimiser):
                    loss_of().backward()
                    optimiser.step()
                    optimiser.zero_grad(set_to_none=True)
                yield Arm(f"torch {attention}{'' if kind == 'f32' else ' ' + kind}{' fused' if fused else ''}", step, version, dtype=precision,
                          threads=threads), before


def training(method: str, precision: str, dropout: bool):
    def build(setting: Setting) -> Contest:
        require_data()
        np, torch, library = peer("numpy"), transformers() and peer("torch"), setting.library()
        torch.set_num_threads(setting.threads)
        ids = torch.from_numpy(real_tokens(np, ITEMS, LENGTH)).long()
        labels = torch.arange(ITEMS) % CLASSES
        model = classifier(torch, "eager", dropout)
        head = [model.classifier.weight.detach().numpy().ravel(), model.classifier.bias.detach().numpy()]
        given = np.concatenate([ids.numpy().ravel(), labels.numpy(), *head]).astype(np.float32)
        prepared = library.training(MODEL, method, precision, dropout, ITEMS, LENGTH, setting.threads)
        out = np.zeros((1,), np.float32)
        run = prepared.call(given, out)
        run()
        before = out.copy()
        with torch.no_grad():
            exact = np.array([float(model.double().eval()(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss)])
        pairs = list(torch_arms(torch, method, precision, dropout, ids, labels, setting.threads))
        arms = [arm for arm, _ in pairs]
        worst = max((np.array([loss]) for _, loss in pairs), key=lambda loss: abs(loss - exact)[0])
        checks = [check_2x("loss of the first batch without dropout", arms[0].name, arms[0].version, before, worst, exact,
                           2.0**-23 if precision == "f32" else 2.0**-8)]
        for _ in range(6):
            run()
        checks.append(check_bound("loss after six steps over the loss before", "hocket", library.version(), float(out[0] / before[0]),
                                  1.1 if dropout else 1.0))  # with dropout a loss is noise around what it was
        chosen, pilots = fastest(arms, setting.log, keep=1, calls=3)
        ours = Arm(f"hocket {method} {precision}", run, library.version(), dtype=precision, threads=setting.threads)
        ratios = [Ratio(f"fastest torch / hocket, {method} step in {precision} {'with' if dropout else 'without'} dropout", [a.name for a in chosen],
                        [ours.name], "higher", TARGETS[method, precision, dropout])]
        contestants = [ours, *chosen]
        if method == "lora":  # beside our own full step
            full = library.training(MODEL, "full", precision, dropout, ITEMS, LENGTH, setting.threads)
            whole = full.call(given, np.zeros((1,), np.float32))
            whole()
            contestants.append(Arm(f"hocket full {precision}", whole, library.version(), dtype=precision, threads=setting.threads))
            ratios.append(Ratio(f"our LoRA step / our full step, {precision} {'with' if dropout else 'without'} dropout", [ours.name],
                                [contestants[-1].name], "lower", 0.75))
        return Contest(contestants, ratios, work=ITEMS * LENGTH, work_unit="tokens", checks=checks,
                       config={"items": ITEMS, "length": LENGTH, "precision": precision, "method": method, "dropout": dropout, **pilots},
                       data=[dataset("vader_sentiment, movies as tokens of all-MiniLM-L6-v2", "32x64", given, False)],
                       libraries={"torch": torch.__version__, "transformers": transformers().__version__})
    return build


def floor(precision: str, dropout: bool):
    def build(setting: Setting) -> Contest:
        require_data()
        np, library = peer("numpy"), setting.library()
        ids = real_tokens(np, ITEMS, LENGTH)
        random = np.random.default_rng(0)
        head = [0.02 * random.standard_normal((CLASSES, 384)), np.zeros(CLASSES)]
        given = np.concatenate([ids.ravel(), np.arange(ITEMS) % CLASSES, *(part.ravel() for part in head)]).astype(np.float32)
        arms, losses = {}, {}
        for method in ("lora", "frozen"):
            losses[method] = np.zeros((1,), np.float32)
            run = library.training(MODEL, method, precision, dropout, ITEMS, LENGTH, setting.threads).call(given, losses[method])
            run()
            arms[method] = Arm(f"hocket {method} {precision}", run, library.version(), dtype=precision, threads=setting.threads)
        checks = [check_bound("loss before any step, LoRA's against the frozen model's", "hocket", library.version(),
                              abs(float(losses["lora"][0] - losses["frozen"][0])), 2.0**-20 if precision == "f32" else 2.0**-7)]
        return Contest(list(arms.values()), [Ratio(f"LoRA step / the same step of the frozen model, {precision} {'with' if dropout else 'without'} dropout",
                                                   [arms["lora"].name], [arms["frozen"].name], "lower", 1.03)],
                       work=ITEMS * LENGTH, work_unit="tokens", checks=checks,
                       config={"items": ITEMS, "length": LENGTH, "precision": precision, "dropout": dropout},
                       data=[dataset("vader_sentiment, movies as tokens of all-MiniLM-L6-v2", "32x64", given, False)])
    return build


CASES = [
    Case(f"lora-floor-{precision}-{'drop' if dropout else 'nodrop'}",
         f"our LoRA step / the step of the frozen model, its gradient down to the norm of the embeddings, {precision}, "
         f"{'dropout' if dropout else 'no dropout'}, 32 x 64 tokens, two threads; target <= 1.03",
         floor(precision, dropout), threads=2, rounds=16)
    for precision in ("f32", "bf16") for dropout in (True, False)
] + [
    Case(f"train-{method}-{precision}-{'drop' if dropout else 'nodrop'}",
         f"fastest torch{' with peft' if method == 'lora' else ''} / our {method} step, {precision}, {'dropout' if dropout else 'no dropout'}, "
         f"32 x 64 tokens, two threads; target >= {TARGETS[method, precision, dropout]}",
         training(method, precision, dropout), threads=2, rounds=12, needs=("torch", "transformers") + (("peft",) if method == "lora" else ()))
    for method in ("lora", "full") for precision in ("f32", "bf16") for dropout in (True, False)
]
