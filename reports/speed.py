"""The sections about time and numerical agreement: peers and limits, throughput, kernels, parity."""

from __future__ import annotations

from reports import analysis, context, figures, quality
from reports import format as fmt
from reports.document import Bullets, Cell, Column, Data, Figure, Section, Table, Text, plain
from reports.records import natural
from reports.verdicts import ratio_outcome


LONGEST_NOTE = 60  # characters; longer ones stand in the CSV only


def _machines(record_set, kind):
    """(fingerprint, records of that kind that finished) per machine."""
    grouped = {}
    for record in record_set.kind(kind):
        grouped.setdefault(record["machine"]["fingerprint"], []).append(record)
    return sorted(grouped.items())


def _on(records, names, several):
    """End of a caption: the machine where the report has several, and the graphics processor of CUDA arms."""
    machine = " On %s." % names[records[0]["machine"]["fingerprint"]] if several else ""
    found = context.gpus(records)
    return machine + (" GPU: %s." % fmt.listing(found) if found else "")


def _remark(record, name):
    """What a record's configuration says under the name of an arm or of a metric's variant, or nothing."""
    found = record["config"].get(name)
    return plain(found) if isinstance(found, str) else ""


def ratio_section(record_set, names, several):
    """Measured ratios with their targets; losses stand among the rest, in the order of the records."""
    made = Section("Against peers and limits")
    for machine, records in _machines(record_set, "compare"):
        ratios = [(record, ratio) for record in records for ratio in record.get("ratios", ())]
        rows, data, plot = [], [], []
        for record, ratio in ratios:
            tone = ratio_outcome(ratio)
            target, met = ratio.get("target"), ratio.get("met")
            better = "≤" if ratio["better"] == "lower" else "≥"
            result = {True: "met", False: "missed"}.get(met) or {"good": "win", "bad": "loss", "even": "not separable"}[
                tone
            ]
            dropped, kept = ratio.get("rounds_dropped"), len(ratio["log_ratios"])
            note = " (noisy)" if ratio.get("noisy") else ""
            rows.append(
                [
                    Cell(plain(ratio["name"])),
                    Cell(plain(ratio["numerator"])),
                    Cell(plain(ratio["denominator"])),
                    Cell(plain(ratio.get("denominator_version", "")) or fmt.MISSING),
                    Cell(fmt.ratio(ratio["ratio"]) + "×", ratio["ratio"], "faint" if tone == "even" else tone),
                    Cell(fmt.ratio_interval(ratio["ci95"]), ratio["ci95"][0]),
                    Cell(
                        "%s %s" % (better, fmt.ratio(target))
                        if target is not None
                        else "%s is better" % ("lower" if ratio["better"] == "lower" else "higher"),
                        target,
                        "" if target is not None else "faint",
                    ),
                    Cell(result + note, tone="faint" if tone == "even" else tone),
                    Cell("%d" % kept + (" (−%d)" % dropped if dropped else ""), kept),
                ]
            )
            data.append(
                [
                    record["case"],
                    ratio["name"],
                    ratio["numerator"],
                    ratio["denominator"],
                    ratio.get("denominator_version", ""),
                    ratio["ratio"],
                    *ratio["ci95"],
                    ratio["better"],
                    target,
                    met,
                    kept,
                    dropped,
                ]
            )
            plot.append(dict(name=ratio["name"], ratio=ratio["ratio"], ci=ratio["ci95"], target=target, tone=tone))
        header = ["comparison", "time of", "over time of", "version", "ratio", "95 %", "target", "result", "rounds"]
        caption = (
            "Medians of interleaved rounds on one machine, unless noted below; rounds during a slow phase are dropped "
            "and counted (−n). The result is the target's where there is one, else whether the interval excludes 1."
        )
        numbers = Data(
            [
                "case",
                "name",
                "numerator",
                "denominator",
                "denominator_version",
                "ratio",
                "low",
                "high",
                "better",
                "target",
                "met",
                "rounds",
                "rounds_dropped",
            ],
            data,
        )
        suffix = "-" + fmt.slug(machine) if several else ""
        made.blocks.append(
            Table(
                "ratios" + suffix,
                caption + _on(records, names, several),
                [Column(h, h in ("ratio", "95 %", "rounds")) for h in header],
                rows,
                numbers,
            )
        )
        sides = {(side, _remark(record, side)) for record, r in ratios for side in (r["numerator"], r["denominator"])}
        remarks = ["%s: %s." % (plain(side), remark) for side, remark in sorted(sides) if remark]
        if remarks:
            made.blocks.append(Bullets(remarks))
        for better, title in (
            ("lower", "Time relative to the peer or the limit (below 1 is faster)"),
            ("higher", "Speed relative to the peer or the limit (above 1 is faster)"),
        ):
            shown = [(p, d) for p, d, (_, r) in zip(plot, data, ratios) if r["better"] == better]
            if shown:
                name = "ratios-%s%s" % (better, suffix)
                svg = figures.ratios(name, [p for p, _ in shown], "ratio, logarithmic")
                made.blocks.append(
                    Figure(
                        name,
                        title,
                        "Dot and bar: ratio and its 95 % interval. Upright stroke: target. Green: met or "
                        "won, red: missed or lost, grey: not separable from 1." + _on(records, names, several),
                        svg,
                        Data(numbers.header, [d for _, d in shown]),
                        context.command_of([r for r, q in ratios if q["better"] == better]),
                    )
                )
    return made if made.blocks else None


def throughput_section(record_set, names, several):
    """Absolute times: of the experiments' arms, then of ours and the peers' in the comparisons."""
    made = Section("Throughput")
    for kind, about in (
        ("throughput", "The arms of the experiments. "),
        ("compare", "Ours and peers, the same input. "),
    ):
        made.blocks += _times(record_set, names, several, kind, about)
    return made if made.blocks else None


def _times(record_set, names, several, kind, about):
    blocks = []
    for machine, records in _machines(record_set, kind):
        rows, data = [], []
        for record in records:
            for timing in record.get("timings", ()):
                per_unit = timing["median_ns"] / timing["work"]
                low, high = (v / timing["work"] for v in timing["ci95_ns"])
                unit = timing["work_unit"]
                dropped = timing.get("rounds_dropped") or 0
                rows.append(
                    [
                        Cell(plain(record["experiment"])),
                        Cell(plain(record["case"] if kind == "compare" else analysis.parse_case(record)[0])),
                        Cell(plain(timing["arm"])),
                        Cell(plain(timing.get("dtype", "")) or fmt.MISSING),
                        Cell(str(timing["threads"]), timing["threads"]),
                        Cell(fmt.duration(timing["median_ns"]), timing["median_ns"]),
                        Cell(fmt.duration(per_unit), per_unit),
                        Cell(fmt.duration_interval(low, high, per_unit), low),
                        Cell(plain(unit)),
                        Cell(
                            "%d" % len(timing["samples_ns"])
                            + (" (−%d)" % dropped if dropped else "")
                            + (" noisy" if timing.get("noisy") else ""),
                            len(timing["samples_ns"]),
                        ),
                    ]
                )
                data.append(
                    [
                        record["experiment"],
                        record["case"],
                        timing["arm"],
                        timing.get("dtype", ""),
                        timing["threads"],
                        timing["median_ns"],
                        *timing["ci95_ns"],
                        timing["work"],
                        unit,
                        len(timing["samples_ns"]),
                        dropped,
                    ]
                )
        if not rows:
            continue
        header = [
            "experiment",
            "data" if kind == "throughput" else "case",
            "arm",
            "type",
            "threads",
            "per call",
            "per unit",
            "95 %",
            "unit",
            "rounds",
        ]
        units = {row[8].text for row in rows}
        if len(units) == 1:  # then the unit goes into the head
            unit = units.pop()
            header[6] = "per %s" % quality.singular(unit)
            header, rows = header[:8] + header[9:], [row[:8] + row[9:] for row in rows]
        if kind == "compare":
            header, rows = header[1:], [row[1:] for row in rows]
        blocks.append(
            Table(
                kind + ("-" + fmt.slug(machine) if several else ""),
                about
                + "All arms of a case are timed interleaved in one process, each checked before its time was taken; "
                "the interval is per unit." + _on(records, names, several),
                [Column(h, h.startswith("per ") or h in ("threads", "95 %", "rounds")) for h in header],
                rows,
                Data(
                    [
                        "experiment",
                        "case",
                        "arm",
                        "dtype",
                        "threads",
                        "median_ns",
                        "low_ns",
                        "high_ns",
                        "work",
                        "work_unit",
                        "rounds",
                        "rounds_dropped",
                    ],
                    data,
                ),
            )
        )
    return blocks


def bench_section(record_set, names, several):
    """Kernels: one table per operation with rows of arm x size, and a plot where sizes are numbers."""
    made = Section("Kernels")
    for machine, records in _machines(record_set, "bench"):
        operations = {}
        for record in records:
            operations.setdefault((record["experiment"], analysis.parse_case(record)[0]), []).append(record)
        for (experiment, operation), group in sorted(operations.items()):
            made.blocks += _bench_blocks(operation, experiment, group, machine, names, several)
    return made if made.blocks else None


def _bench_blocks(operation, experiment, records, machine, names, several):
    rows, data, series = [], [], {}
    for record in records:
        case = record["case"].partition("/")[2] or record["case"]
        limits = {
            (t.get("dtype", ""), t["threads"]): t["median_ns"]
            for t in record.get("timings", ())
            if t["arm"].startswith("limit")
        }
        for timing in record.get("timings", ()):
            median, kind = timing["median_ns"], (timing.get("dtype", ""), timing["threads"])
            flops = timing.get("flops") and timing["flops"] / median * 1e9
            bytes_per_s = timing.get("bytes") and timing["bytes"] / median * 1e9
            is_limit = timing["arm"].startswith("limit")
            share = limits[kind] / median if kind in limits and not is_limit else None
            shape = case.removesuffix("/%s" % kind[0])  # the type has a column of its own
            rows.append(
                [
                    Cell(plain(shape)),
                    Cell(plain(timing["arm"]), tone="faint" if is_limit else ""),
                    Cell(plain(kind[0]) or fmt.MISSING),
                    Cell(fmt.MISSING if timing.get("backend") == "cuda" else str(kind[1]), kind[1]),
                    Cell(fmt.duration(median), median),
                    Cell(fmt.duration_interval(*timing["ci95_ns"], median), timing["ci95_ns"][0]),
                    Cell(fmt.count(flops / 1e9) if flops else fmt.MISSING, flops),
                    Cell(fmt.count(bytes_per_s / 1e9) if bytes_per_s else fmt.MISSING, bytes_per_s),
                    Cell(fmt.percent(share, 0), share),
                ]
            )
            data.append([record["case"], timing["arm"], *kind, median, *timing["ci95_ns"], flops, bytes_per_s, share])
            method, numbers = analysis.axes_of(shape)
            if len(numbers) == 1:
                ((axis, value),) = numbers.items()
                label = " ".join(
                    p for p in (timing["arm"], kind[0], method, "%d threads" % kind[1] if kind[1] > 1 else "") if p
                )
                rate = flops or bytes_per_s
                if rate:
                    series.setdefault((axis, "GFLOP/s" if flops else "GB/s"), {}).setdefault(label, {})[value] = (
                        rate / 1e9,
                        *sorted(rate / 1e9 * median / v for v in timing["ci95_ns"]),
                    )
    header = ["case", "arm", "type", "threads", "time", "95 %", "GFLOP/s", "GB/s", "of the limit"]
    keep = [i for i, h in enumerate(header) if any(row[i].text != fmt.MISSING for row in rows)]
    name = fmt.slug("bench-%s-%s%s" % (experiment, operation, "-" + machine if several else ""))
    title = operation if experiment in ("bench", operation) else "%s, %s" % (experiment, operation)
    out = [
        Text("**%s**" % plain(title)),
        Table(
            name,
            "Medians; floating-point operations and bytes are those of the definition, the same for every arm."
            + _on(records, names, several),
            [Column(header[i], i > 2, "%" if i == 8 else "") for i in keep],
            [[row[i] for i in keep] for row in rows],
            Data(
                [
                    "case",
                    "arm",
                    "dtype",
                    "threads",
                    "median_ns",
                    "low_ns",
                    "high_ns",
                    "flop_per_s",
                    "byte_per_s",
                    "share_of_limit",
                ],
                data,
            ),
        )
    ]
    for (axis, unit), arms in sorted(series.items()):
        if max(map(len, arms.values())) < 3:
            continue
        lines = [(label, [(x, *arms[label][x]) for x in sorted(arms[label])]) for label in sorted(arms, key=natural)]
        xs = sorted({p[0] for _, points in lines for p in points})
        figure = "%s-%s-%s" % (name, fmt.slug(axis), fmt.slug(unit))
        svg = figures.lines(
            figure, lines, axis, unit, xs[0] > 0 and xs[-1] / xs[0] >= 8, False, xs if len(xs) <= 8 else None
        )
        out.append(
            Figure(
                figure,
                "%s: %s against %s" % (plain(title), unit, axis),
                "Higher is better. Bands: 95 % intervals." + _on(records, names, several),
                svg,
                Data(["arm", axis, unit, "low", "high"], [[label, *p] for label, points in lines for p in points]),
                context.command_of(records),
            )
        )
    return out


def parity_section(record_set):
    """Agreement of our numbers with the peers', by experiment; the same on every processor, so that only graphics
    processors are told apart here."""
    made = Section("Parity")
    groups = {}
    for record in record_set.kind("parity"):
        groups.setdefault((record["experiment"], *context.gpus([record])), []).append(record)
    for about, records in sorted(groups.items()):
        name = "parity-" + fmt.slug(" ".join(about))
        blocks = _parity_table(
            name,
            records,
            "Largest deviation over all cases beside its bound: what the peer's own error allows, or what the kernel "
            "promises. A missing error means that the comparison gave no number, which counts as a difference."
            + _on(records, {}, False),
        ) + _metrics_table(name + "-metrics", records)
        if blocks:
            made.blocks += [Text("**%s**" % plain(", ".join(about))), *blocks]
    made.blocks += _parity_table(
        "checks",
        record_set.kind("quality", "throughput", "bench", "compare", "curve"),
        "What was compared before a time was taken.",
    )
    return made if made.blocks else None


def _parity_table(name, records, caption):
    rows, data, seen = [], [], set()
    for record in records:
        for one in record.get("parity", ()):
            values = [
                one.get("preset", ""),
                one["what"],
                one["peer"],
                one["peer_version"],
                one["dtype"],
                one["cases"],
                one["max_error"],
                one["bound"],
                one.get("unit", ""),
                one["ok"],
                one.get("note", ""),
            ]
            if tuple(map(str, values)) in seen:
                continue
            seen.add(tuple(map(str, values)))
            share = one["max_error"] / one["bound"] if one["max_error"] is not None and one["bound"] else None
            rows.append(
                [Cell(plain(v) or fmt.MISSING) for v in (values[0], values[1], "%s %s" % tuple(values[2:4]), values[4])]
                + [
                    Cell(str(one["cases"]), one["cases"]),
                    Cell(fmt.significant(one["max_error"], 2), one["max_error"]),
                    Cell(fmt.significant(one["bound"], 2), one["bound"]),
                    Cell(plain(one.get("unit", "")) or fmt.MISSING),
                    Cell("agrees" if one["ok"] else "differs", share, "good" if one["ok"] else "bad"),
                    Cell(plain(one.get("note", "")) if 0 < len(one.get("note", "")) <= LONGEST_NOTE else fmt.MISSING),
                ]
            )
            data.append(values)
    if not rows:
        return []
    if any(len(values[-1]) > LONGEST_NOTE for values in data):
        caption += " The CSV names the worst case of each row."
    header = ["preset", "what", "peer", "type", "cases", "max. error", "bound", "unit", "result", "note"]
    keep = [i for i in range(len(header)) if any(row[i].text != fmt.MISSING for row in rows)]
    peers = {}
    for row in rows:
        peers.setdefault(row[0].text, []).append(row[2].text)
    blocks = []
    if len({row[2].text for row in rows}) == 1:
        blocks.append(Text("Compared with %s." % rows[0][2].text))
        keep.remove(2)
    elif 0 in keep and all(len(set(found)) == 1 for found in peers.values()):  # then the preset says who the peer is
        blocks.append(Bullets(["%s is compared with %s." % (preset, found[0]) for preset, found in peers.items()]))
        keep.remove(2)
    return blocks + [
        Table(
            name,
            caption,
            [Column(header[i], 4 <= i <= 6) for i in keep],
            [[row[i] for i in keep] for row in rows],
            Data(
                [
                    "preset",
                    "what",
                    "peer",
                    "peer_version",
                    "dtype",
                    "cases",
                    "max_error",
                    "bound",
                    "unit",
                    "ok",
                    "note",
                ],
                data,
            ),
        )
    ]


def _metrics_table(name, records):
    """What was counted or measured beside the comparisons, such as the errors that a sanitizer found."""
    found = [(m["name"], m["variant"], m, r) for r in records for m in r.get("metrics", ())]
    found.sort(key=lambda one: (one[0], natural(one[1]), one[2]["value"] is not None, one[2]["value"] or 0.0))
    if not found:
        return []
    rows, data = [], []
    for measure, variant, metric, record in found:
        value, remark = metric["value"], _remark(record, variant)
        shown = fmt.MISSING if value is None else fmt.minus(fmt.count(value))
        rows.append(
            [
                Cell(plain(measure)),
                Cell(plain(variant) or fmt.MISSING),
                Cell(shown, value),
                Cell(plain(metric["unit"]) or fmt.MISSING),
                Cell(remark or fmt.MISSING),
            ]
        )
        data.append([measure, variant, value, metric["unit"], remark])
    header = ["measure", "of", "value", "unit", "note"]
    keep = [i for i in range(len(header)) if any(row[i].text != fmt.MISSING for row in rows)]
    return [
        Table(
            name,
            "Counted or measured in the same run." + _on(records, {}, False),
            [Column(header[i], i == 2) for i in keep],
            [[row[i] for i in keep] for row in rows],
            Data(header, data),
        )
    ]
