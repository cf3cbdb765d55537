"""The questions "which precision for inference?" and "which attention at which length?": sentences by rules, tables and
plots of the timed arms along batch and length. Ratios are taken inside rounds, as arms were timed."""

from __future__ import annotations

import math

from reports import context, figures, statistics
from reports import format as fmt
from reports.document import Cell, Column, Data, Figure, Section, Table, Verdict, plain
from reports.records import natural

LINEAR = 2.1  # memory at twice the length over memory at the length: at most this counts as linear
BASE = "f32"


def _speedups(record, base):
    """{arm: (speed over the base arm, low, high)} from the record's interleaved rounds."""
    timings = {t["arm"]: t["samples_ns"] for t in record.get("timings", ())}
    out = {}
    for arm, samples in timings.items():
        if base in timings and len(samples) == len(timings[base]):
            logs = [math.log(b / a) for a, b in zip(samples, timings[base])]
            out[arm] = tuple(math.exp(v) for v in statistics.median_interval(logs))
    return out


def _grouped(record_set, experiment, axes):
    """[(machine, [(position on the axes, record)])] of an experiment's timed cases that have all of the axes."""
    found = {}
    for record in record_set.kind("throughput"):
        config = record["config"]
        if record["experiment"] == experiment and all(axis in config for axis in axes):
            found.setdefault(record["machine"]["fingerprint"], []).append((tuple(config[a] for a in axes), record))
    return [(machine, sorted(rows, key=lambda row: row[0])) for machine, rows in sorted(found.items())]


def _metric(record, name, arm):
    for metric in record.get("metrics", ()):
        if metric["name"] == name and metric["variant"] == arm:
            return metric["value"]
    return None


def _shown(value, unit=""):
    return fmt.MISSING if value is None else fmt.significant(value) + unit


# ---- precision ---------------------------------------------------------------------------------------------------------


def precision_section(record_set, names, several):
    """Tokens a second, latency and memory of every precision, by batch and length."""
    made = Section("Which precision for inference?")
    for machine, rows in _grouped(record_set, "encoder_inference", ("batch", "length")):
        table, data, lines = [], [], {}
        for (batch, length), record in rows:
            gains = _speedups(record, BASE)
            fastest = min(record["timings"], key=lambda t: t["median_ns"])["arm"]
            for timing in record["timings"]:
                arm, work = timing["arm"], timing["work"]
                speed = work / timing["median_ns"] * 1e9
                low, high = (work / ns * 1e9 for ns in reversed(timing["ci95_ns"]))
                gain = gains.get(arm)
                p50, p99, memory = (_metric(record, n, arm) for n in ("latency_p50", "latency_p99", "memory"))
                table.append(
                    [
                        Cell("%d × %d" % (batch, length), batch * 1e6 + length),
                        Cell(plain(arm), tone="best" if arm == fastest else ""),
                        Cell(fmt.significant(speed), speed),
                        Cell("[%s, %s]" % (fmt.significant(low), fmt.significant(high)), low),
                        Cell(fmt.ratio(gain[0]) + "× " + fmt.ratio_interval(gain[1:]) if gain else fmt.MISSING, gain and gain[0]),
                        Cell(_shown(p50), p50),
                        Cell(_shown(p99), p99),
                        Cell(_shown(memory), memory),
                    ]
                )
                data.append([batch, length, arm, speed, low, high, *(gain or (None,) * 3), p50, p99, memory])
                lines.setdefault("%s, batch %d" % (arm, batch), []).append((length, speed, low, high))
        suffix = "-" + fmt.slug(machine) if several else ""
        where = " On %s." % names[machine] if several else ""
        titles = ["batch × length", "precision", "tokens/s", "95 %", "speed over f32", "p50, ms", "p99, ms", "memory, MiB"]
        header = ["batch", "length", "precision", "tokens_per_s", "low", "high", "speedup", "speedup_low", "speedup_high"]
        numbers = Data(header + ["p50_ms", "p99_ms", "memory_mib"], data)
        made.blocks.append(
            Table(
                "precision" + suffix,
                "Embeddings of real tokens in full batches; speeds from interleaved rounds, latency from single calls in a row "
                "(p99 where at least 100 were made), memory beside the mapped weights. The fastest of a batch is bold." + where,
                [Column(t, i != 1) for i, t in enumerate(titles)],
                table,
                numbers,
            )
        )
        made.blocks.append(
            Figure(
                "precision-speed" + suffix,
                "Tokens a second against the length of a text",
                "Higher is better. Bands: 95 % intervals." + where,
                figures.lines(
                    "precision-speed" + suffix,
                    [(label, lines[label]) for label in sorted(lines, key=natural)],
                    "tokens of a text",
                    "tokens a second",
                    True,
                    True,
                    sorted({p[0] for points in lines.values() for p in points}),
                ),
                numbers,
                context.command_of([record for _, record in rows]),
            )
        )
    return made if made.blocks else None


def precision_verdicts(record_set, boards):
    """The fastest precision that no test finds worse than f32, its range of speed-ups, and what it costs."""
    out = []
    for machine, rows in _grouped(record_set, "encoder_inference", ("batch", "length")):
        gains = {}
        for where, record in rows:
            for arm, gain in _speedups(record, BASE).items():
                gains.setdefault(arm, []).append((where, gain))
        mine = [b for b in boards if b.experiment == "encoder_inference" and b.machine == machine]
        pairs = {a: b.comparisons.get((a, BASE)) for b in mine for a in gains if a != BASE}
        judged = [arm for arm in gains if arm != BASE and pairs.get(arm) is not None]
        fit = [arm for arm in judged if pairs[arm].verdict != "worse"]
        if not gains or not judged:
            continue
        mean = {arm: math.fsum(math.log(g[0]) for _, g in gains[arm]) / len(gains[arm]) for arm in gains}
        best = max([*fit, BASE], key=lambda arm: mean.get(arm, 0.0))
        if best == BASE:
            out.append(Verdict("Which precision for inference? **f32**: nothing that is as accurate is faster.", "open"))
            continue
        values = [g[0] for _, g in gains[best]]
        slower = [where for where, g in gains[best] if g[1] <= 1]
        pair = pairs[best]
        quality = {
            "equivalent": "its embeddings are equivalent to f32's within %s of accuracy"
            % fmt.plural(fmt.points(pair.margin, 0), "point"),
            "better": "its embeddings classify better than f32's",
        }.get(pair.verdict, "no difference in accuracy to f32 was resolved")
        cosine = next((b.arms[best].metrics.get("smallest_cosine") for b in mine if best in b.arms), None)
        text = "Which precision for inference? **%s**: %s to %s times the tokens a second of f32 over %s of batch and length; %s%s." % (
            plain(best),
            fmt.ratio(min(values)),
            fmt.ratio(max(values)),
            fmt.plural(len(values), "combination"),
            quality,
            ", smallest cosine %.4f" % cosine.value if cosine and cosine.value is not None else "",
        )
        if slower:
            text += " It is not separably faster at %s." % fmt.listing("%d × %d" % where for where in slower)
        out.append(Verdict(text, "better" if pair.verdict in ("equivalent", "better") else "even"))
        for arm in sorted(set(judged) - {best}, key=natural):
            ratios = [math.exp(mean[arm] - mean[best])]
            out.append(
                Verdict(
                    "Inference in **%s** has %s times the speed of **%s** on average%s."
                    % (
                        plain(arm),
                        fmt.ratio(ratios[0]),
                        plain(best),
                        "; its embeddings classify worse than f32's" if pairs[arm].verdict == "worse" else "",
                    ),
                    "worse" if pairs[arm].verdict == "worse" else "even",
                )
            )
    return out


# ---- attention ---------------------------------------------------------------------------------------------------------


def _passes(record_set):
    """[(machine, pass, [(length, record)])]"""
    out = []
    for machine, rows in _grouped(record_set, "attention_length", ("pass", "length")):
        for one in sorted({where[0] for where, _ in rows}):
            out.append((machine, one, [(where[1], record) for where, record in rows if where[0] == one]))
    return out


def attention_section(record_set, names, several):
    """Time and speed of every arm by length, forward and training apart."""
    made = Section("Which attention at which length?")
    for machine, one, rows in _passes(record_set):
        table, data, lines = [], [], {}
        for length, record in rows:
            fastest = min(record["timings"], key=lambda t: t["median_ns"])["arm"]
            gains = _speedups(record, fastest)
            for timing in record["timings"]:
                arm, median = timing["arm"], timing["median_ns"]
                low, high = timing["ci95_ns"]
                flops = timing.get("flops") and timing["flops"] / median
                gain = gains.get(arm)
                table.append(
                    [
                        Cell(str(length), length),
                        Cell(plain(arm), tone="best" if arm == fastest else ""),
                        Cell(fmt.duration(median), median),
                        Cell(fmt.duration_interval(low, high, median), low),
                        Cell(_shown(flops), flops),
                        Cell(fmt.ratio(1 / gain[0]) + "× [%s, %s]" % (fmt.ratio(1 / gain[2]), fmt.ratio(1 / gain[1])) if gain else fmt.MISSING,
                             gain and 1 / gain[0]),
                    ]
                )
                data.append([one, length, arm, median, low, high, flops])
                scale = timing["work"] * 1e9
                lines.setdefault(arm, []).append((length, scale / median, scale / high, scale / low))
        suffix = "-%s%s" % (fmt.slug(one), "-" + fmt.slug(machine) if several else "")
        where = " On %s." % names[machine] if several else ""
        titles = ["tokens", "arm", "time", "95 %", "GFLOP/s", "time over the fastest"]
        numbers = Data(["pass", "length", "arm", "median_ns", "low_ns", "high_ns", "gflops"], data)
        made.blocks.append(
            Table(
                "attention" + suffix,
                "**%s.** Arms interleaved; operations are those of the definition, the same for every arm. The fastest of a length is bold.%s"
                % (plain(one).capitalize(), where),
                [Column(t, i != 1) for i, t in enumerate(titles)],
                table,
                numbers,
            )
        )
        made.blocks.append(
            Figure(
                "attention-speed" + suffix,
                "%s: tokens a second against the length" % plain(one).capitalize(),
                "Higher is better. Bands: 95 % intervals." + where,
                figures.lines(
                    "attention-speed" + suffix, sorted(lines.items()), "tokens", "tokens a second", True, True,
                    sorted({p[0] for points in lines.values() for p in points}),
                ),
                numbers,
                context.command_of([record for _, record in rows]),
            )
        )
    return made if made.blocks else None


def attention_verdicts(record_set):
    """Who is fastest at which lengths, and whose memory grows no faster than the length."""
    out = []
    for _, one, rows in _passes(record_set):
        winners = []  # (arm or None, length): None where the two fastest are not separable
        for length, record in rows:
            ordered = sorted(record["timings"], key=lambda t: t["median_ns"])
            if len(ordered) < 2:
                continue
            gain = _speedups(record, ordered[1]["arm"]).get(ordered[0]["arm"])
            winners.append((ordered[0]["arm"] if gain and gain[1] > 1 else None, length))
        said = []
        for arm in sorted({w for w, _ in winners if w}, key=natural):
            said.append("**%s** at %s" % (plain(arm), fmt.listing(str(n) for w, n in winners if w == arm)))
        ties = [str(n) for w, n in winners if not w]
        if ties:
            said.append("nobody separably at %s" % fmt.listing(ties))
        if said:
            out.append(Verdict("Which attention at which length? %s: fastest is %s tokens." % (plain(one).capitalize(), "; ".join(said)),
                               "better" if not ties else "even"))
    growth = {}
    for record in record_set.kind("curve"):
        if record["experiment"] != "attention_length":
            continue
        for curve in record.get("curves", ()):
            points = {p[0]: p[1] for p in curve["points"]}
            longest = max(points, default=0)
            if longest / 2 in points and points[longest / 2] > 0:
                growth[curve["name"]] = (longest, points[longest] / points[longest / 2])
    for name in sorted(growth, key=natural):
        longest, factor = growth[name]
        out.append(
            Verdict(
                "Memory of %s at %d tokens is %s times that at %d: %s."
                % (plain(name), longest, fmt.ratio(factor), longest / 2, "linear in the length" if factor <= LINEAR else "**not** linear in the length"),
                "better" if factor <= LINEAR else "worse",
            )
        )
    return out


def verdicts(record_set, boards):
    return precision_verdicts(record_set, boards) + attention_verdicts(record_set)
