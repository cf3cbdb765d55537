"""The sections of one board: main table, intervals, Pareto plot, pairs, and curves along an axis such as the PCA
rank."""

from __future__ import annotations

import math

from reports import analysis, context, figures, finetuning, statistics
from reports import format as fmt
from reports.document import Cell, Column, Data, Figure, Section, Table, plain
from reports.records import natural

MATRIX_LIMIT = 14  # arms in the pairwise table; the CSV has all


def singular(unit):
    """ "seconds of audio" -> "second of audio", "training steps" -> "training step"."""
    counted, of, rest = unit.partition(" of ")
    return (counted[:-1] if counted.endswith("s") else counted) + of + rest


def cost_label(unit):
    """Axis title and factor from ns per work unit."""
    return "µs per %s" % singular(unit), 1e3


def shown_unit(metric):
    if metric.is_share:
        return "%"
    return "" if metric.unit in (*analysis.UNITS_OF_SHARES, "bytes") else metric.unit


def shown(metric, value):
    if value is None:
        return fmt.MISSING
    if metric.is_share:
        return fmt.percent(value)
    return fmt.size(value) if metric.unit == "bytes" else fmt.minus(fmt.count(value))


def shown_interval(metric, interval):
    if interval is None:
        return fmt.MISSING
    if metric.is_share:
        return fmt.percent_interval(interval)
    return "[%s, %s]" % tuple(shown(metric, v) for v in interval)


def section(record_set, board, names, several_machines):
    title = board.title + (" on %s" % names[board.machine] if several_machines else "")
    made = Section(plain(title))
    cost = analysis.costs(record_set, board)
    name = fmt.slug(title)
    made.blocks.append(_main_table(name, board, cost))
    if board.metric and (board.ranked or not _axes(board)):  # without tests, the plots along the axis say it all
        made.blocks.append(_forest(name, board))
    if len(cost) > 1 and board.metric:
        made.blocks.append(_pareto(name, board, cost))
    made.blocks += finetuning.blocks(name, board, cost)
    if board.comparisons:
        made.blocks.append(_pairs(name, board))
    made.blocks += _axis_plots(name, board, cost)
    return made


def _main_table(name, board, cost):
    """Rows from best to worst. The ranked metric with both intervals, other metrics with the wider picture in the
    CSV."""
    metrics = []
    for arm in board.arms.values():
        metrics += [m for m in arm.metrics.values() if m.name not in [k.name for k in metrics]]
    metrics.sort(key=lambda m: m.name != board.metric)
    columns, header = [Column("rank", True), Column("arm")], ["rank_low", "rank_high", "arm"]
    for i, metric in enumerate(metrics):
        columns.append(Column(fmt.pretty(metric.name), True, shown_unit(metric)))
        if i == 0:
            columns += [Column("test 95 %", True), Column("%s 95 %%" % board.repetition, True)]
        header += [
            metric.name,
            metric.name + "_test_low",
            metric.name + "_test_high",
            metric.name + "_repetition_low",
            metric.name + "_repetition_high",
        ]
    label, factor = cost_label(next(iter(cost.values())).unit) if cost else ("", 1.0)
    if cost:
        columns += [Column(label, True), Column("time 95 %", True)]
        header += [label, label + " low", label + " high"]
    columns.append(Column("runs", True))
    header.append("runs")
    rows, data = [], []
    for arm in board.ordered():
        rank = arm.rank
        tone = "best" if arm.best and board.ranked else ""
        text = fmt.MISSING if rank is None else "%d" % rank[0] if rank[0] == rank[1] else "%d–%d" % rank
        row = [Cell(text, None if rank is None else rank[0] + rank[1] / 1000.0), Cell(plain(arm.name), tone=tone)]
        values = [*(rank or (None, None)), arm.name]
        for i, metric in enumerate(metrics):
            mine = arm.metrics.get(metric.name)
            row.append(
                Cell(
                    shown(mine, mine.value) if mine else fmt.MISSING,
                    mine.value if mine else None,
                    tone if i == 0 else "",
                )
            )
            if i == 0:
                row += [
                    Cell(
                        shown_interval(mine, mine.test) if mine else fmt.MISSING,
                        mine.test[0] if mine and mine.test else None,
                    ),
                    Cell(
                        shown_interval(mine, mine.seed) if mine else fmt.MISSING,
                        mine.seed[0] if mine and mine.seed else None,
                    ),
                ]
            values += [mine.value, *(mine.test or (None, None)), *(mine.seed or (None, None))] if mine else [None] * 5
        if cost:
            mine = cost.get(arm.name)
            row += (
                [
                    Cell(fmt.significant(mine.median / factor), mine.median),
                    Cell("[%s, %s]" % tuple(fmt.significant(v / factor) for v in mine.interval), mine.interval[0]),
                ]
                if mine
                else [Cell(fmt.MISSING), Cell(fmt.MISSING)]
            )
            values += [mine.median / factor, *(v / factor for v in mine.interval)] if mine else [None] * 3
        row.append(Cell(str(len(arm.repetitions)), len(arm.repetitions)))
        values.append(len(arm.repetitions))
        rows.append(row)
        data.append(values)
    unit = board.records[0]["protocol"]["split_unit"]
    about = (
        "%s, %s." % (fmt.plural(board.items, "test item"), fmt.plural(board.units, plain(unit)))
        if board.items
        else "The records hold no single answers, so arms are not compared by a test."
    )
    if board.ranked:
        about += " Rank: the places the data leave open. Bold: the best group, every arm that no other beats."
    threads = sorted({c.threads for c in cost.values()})
    if cost:
        about += " Times on %s." % fmt.listing(fmt.plural(t, "thread") for t in threads)
    return Table(name + "-main", about, columns, rows, Data(header, data))


def _forest(name, board):
    rows, data = [], []
    for arm in board.ordered():
        metric = arm.metrics.get(board.metric)
        if metric is None or metric.value is None:
            continue
        scale = 100.0 if metric.is_share else 1.0

        def scaled(values):
            return None if values is None else [v * scale for v in values]

        rows.append(
            dict(
                name=arm.name,
                value=metric.value * scale,
                test=scaled(metric.test),
                seed=scaled(metric.seed),
                runs=scaled(metric.runs),
                best=arm.best and board.ranked,
            )
        )
        data.append(
            [
                arm.name,
                metric.value,
                *(metric.test or (None, None)),
                *(metric.seed or (None, None)),
                " ".join(repr(v) for v in metric.runs),
            ]
        )
    metric = next(iter(board.arms.values())).metrics[board.metric]
    unit = shown_unit(metric)
    label = fmt.pretty(board.metric) + (" (%s)" % unit if unit else "")
    svg = figures.forest(
        name + "-intervals", rows, label, "95 % over test units", "95 %% over %s, each run a tick" % board.repetition
    )
    return Figure(
        name + "-intervals",
        "%s of every arm" % fmt.pretty(board.metric).capitalize(),
        "Thick: interval over test units. Thin: interval over %s; each tick is one run. Blue: the best group."
        % board.repetition,
        svg,
        Data(["arm", board.metric, "test_low", "test_high", "repetition_low", "repetition_high", "runs"], data),
        context.command_of(board.records),
    )


def _pareto(name, board, cost):
    arms = [
        arm
        for arm in board.ordered()
        if arm.name in cost and arm.metrics.get(board.metric) and arm.metrics[board.metric].value is not None
    ]
    sign = 1.0 if arms[0].metrics[board.metric].better == "higher" else -1.0
    label, factor = cost_label(cost[arms[0].name].unit)
    scale = 100.0 if arms[0].metrics[board.metric].is_share else 1.0
    centre, ranges = [], []
    for arm in arms:
        metric, mine = arm.metrics[board.metric], cost[arm.name]
        centre.append((mine.median, sign * metric.value))
        test = metric.test or (metric.value, metric.value)
        ranges.append((mine.interval, tuple(sorted(sign * v for v in test))))
    front, lost = statistics.pareto_front(centre), statistics.robustly_dominated(ranges)
    rows, data = [], []
    for i, arm in enumerate(arms):
        metric, mine = arm.metrics[board.metric], cost[arm.name]
        rows.append(
            dict(
                name=arm.name,
                x=mine.median / factor,
                x_ci=[v / factor for v in mine.interval],
                y=metric.value * scale,
                y_ci=[v * scale for v in metric.test] if metric.test else None,
                front=i in front,
                dominated=i in lost,
                inherited=mine.arm != arm.name,
            )
        )
        data.append(
            [
                arm.name,
                mine.median / factor,
                *(v / factor for v in mine.interval),
                metric.value,
                *(metric.test or (None, None)),
                i in front,
                i in lost,
            ]
        )
    unit = shown_unit(arms[0].metrics[board.metric])
    y_label = fmt.pretty(board.metric) + (" (%s)" % unit if unit else "")
    svg = figures.pareto(name + "-pareto", rows, label, y_label)
    used = [c.record for c in cost.values()]
    unique = [r for i, r in enumerate(used) if r not in used[:i]]
    return Figure(
        name + "-pareto",
        "%s against cost" % fmt.pretty(board.metric).capitalize(),
        "Blue: no other arm is both cheaper and better. Hollow: another arm is cheaper and better with separated "
        "intervals on both axes.%s Bars: 95 %% intervals over test units and over timing rounds."
        % ("" if sign > 0 else " Lower is better.")
        + (
            " Small, without bars: arms placed at the time of their method."
            if any(r["inherited"] for r in rows)
            else ""
        ),
        svg,
        Data(["arm", label, "low", "high", board.metric, "test_low", "test_high", "on_front", "dominated"], data),
        context.command_of(unique + board.records),
    )


def _pairs(name, board):
    ordered = [arm.name for arm in board.ordered() if arm.rank is not None]
    used = ordered[:MATRIX_LIMIT]
    columns = [Column("#", True), Column("row minus column, points")] + [
        Column(str(i + 1), True) for i in range(len(used))
    ]
    rows = []
    for i, a in enumerate(used):
        row = [Cell(str(i + 1), i), Cell(plain(a))]
        for b in used:
            if a == b:
                row.append(Cell("·", 0.0, "faint"))
                continue
            one = board.comparisons[(a, b)]
            tone = {"better": "good", "worse": "bad", "equivalent": "even"}.get(one.verdict, "faint")
            row.append(Cell(fmt.points(one.difference), one.difference, tone))
        rows.append(row)
    data = []
    for i, a in enumerate(ordered):
        for b in ordered[i + 1 :]:
            one = board.comparisons[(a, b)]
            data.append(
                [
                    a,
                    b,
                    one.difference,
                    *(one.interval or (None, None)),
                    one.p,
                    one.holm_p,
                    one.verdict,
                    one.resolvable,
                    one.units,
                ]
            )
    caption = (
        "Differences in %s points. Green and red: Holm p < .05. Blue: equivalent. Grey: not resolved."
        % fmt.pretty(board.metric)
    )
    if len(ordered) > len(used):
        caption += " The %d best of %d arms; the CSV has every pair with interval and p." % (len(used), len(ordered))
    return Table(
        name + "-pairs",
        caption,
        columns,
        rows,
        Data(["a", "b", "difference", "low", "high", "p", "holm_p", "verdict", "resolvable_once", "units"], data),
    )


# ---- along an axis ---------------------------------------------------------------------------------------------------


def _axes(board):
    """axis -> {series name: {value: arm}} for axes with three or more values in some series."""
    found = {}
    for arm in board.arms.values():
        method, numbers = analysis.axes_of(arm.name)
        for axis, value in numbers.items():
            rest = "".join("/%s=%s" % (k, ("%g" % v)) for k, v in sorted(numbers.items()) if k != axis)
            found.setdefault(axis, {}).setdefault(method + rest, {})[value] = arm
    return {axis: series for axis, series in sorted(found.items()) if max(map(len, series.values())) >= 3}


def _axis_plots(name, board, cost):
    out = []
    for axis, series in _axes(board).items():
        metrics = []
        for arm in board.arms.values():
            metrics += [m for m in arm.metrics.values() if m.name not in [k.name for k in metrics]]
        only = ", %s" % next(iter(series)) if len(series) == 1 else ""
        for metric in metrics:
            levels = [
                ("%s, no %s" % (method, axis), board.arms[method].metrics[metric.name].value)
                for method in sorted(series, key=natural)
                if method in board.arms and metric.name in board.arms[method].metrics
            ]
            if metric.name == analysis.MEMORY and not _varies(board, series):
                continue
            lines, data = [], []
            scale = 100.0 if metric.is_share else 1.0
            for method in sorted(series, key=natural):
                points = []
                for value in sorted(series[method]):
                    mine = series[method][value].metrics.get(metric.name)
                    if mine is None or mine.value is None:
                        continue
                    spread = mine.test or mine.seed or (None, None)
                    data.append([method, value, mine.value, *(mine.test or (None, None)), *(mine.seed or (None, None))])
                    points.append((value, mine.value * scale, *[None if v is None else v * scale for v in spread]))
                if points:
                    lines.append((method, points))
            if lines:
                unit = shown_unit(metric)
                title = fmt.pretty(metric.name)
                out.append(
                    _line_figure(
                        "%s-%s-%s" % (name, fmt.slug(metric.name), fmt.slug(axis)),
                        "%s against %s%s" % (title.capitalize() if title.islower() else title, axis, only),
                        lines,
                        axis,
                        title + (" (%s)" % unit if unit else ""),
                        Data(
                            ["series", axis, metric.name, "test_low", "test_high", "repetition_low", "repetition_high"],
                            data,
                        ),
                        context.command_of(board.records),
                        levels=[(label, value * scale) for label, value in levels if value is not None],
                    )
                )
        timed = {m: {v: cost[a.name] for v, a in s.items() if a.name in cost} for m, s in series.items()}
        if any(len({c.median for c in s.values()}) >= 3 for s in timed.values()):
            label, factor = cost_label(next(iter(cost.values())).unit)
            lines, data = [], []
            for method in sorted(timed, key=natural):
                points = [
                    (v, c.median / factor, *(x / factor for x in c.interval)) for v, c in sorted(timed[method].items())
                ]
                data += [[method, *p] for p in points]
                if points:
                    lines.append((method, points))
            used = [c.record for s in timed.values() for c in s.values()]
            out.append(
                _line_figure(
                    "%s-time-%s" % (name, fmt.slug(axis)),
                    "Time against %s%s" % (axis, only),
                    lines,
                    axis,
                    label,
                    Data(["series", axis, label, "low", "high"], data),
                    context.command_of([r for i, r in enumerate(used) if r not in used[:i]]),
                )
            )
    return out


def _varies(board, series):
    """True if arms along an axis differ in peak memory by more than a tenth; else the process itself is the peak."""
    arms = [arm for points in series.values() for arm in points.values()]
    peaks = [arm.metrics[analysis.MEMORY].value for arm in arms if analysis.MEMORY in arm.metrics]
    return bool(peaks) and max(peaks) > 1.1 * min(peaks)


def _line_figure(name, title, lines, x_label, y_label, data, command, note="", levels=()):
    xs = sorted({p[0] for _, points in lines for p in points})
    ys = [p[1] for _, points in lines for p in points] + [value for _, value in levels]
    log_x = xs[0] > 0 and len(xs) > 2 and xs[-1] / xs[0] >= 8
    log_y = min(ys) > 0 and max(ys) / min(ys) > 20
    if log_y:  # an interval that reaches zero cannot be drawn on a logarithmic axis
        lines = [(n, [p if p[2] is None or p[2] > 0 else (p[0], p[1], None, None) for p in pts]) for n, pts in lines]
    svg = figures.lines(name, lines, x_label, y_label, log_x, log_y, xs if len(xs) <= 10 else None, levels=levels)
    bands = any(p[2] is not None for _, points in lines for p in points)
    return Figure(name, title, ("Bands: 95 % intervals. " if bands else "") + note, svg, data, command)


def curve_section(record_set, names, several_machines):
    """Curves that records carry: one plot per experiment, data set and pair of axis titles; repetitions are
    averaged."""
    plots = {}
    for record in record_set.records:
        if record["status"] != "ok":
            continue
        dataset, arm, seed, fold = analysis.parse_case(record)
        for curve in record.get("curves", ()):
            where = (record["machine"]["fingerprint"], record["experiment"], dataset, curve["x"], curve["y"])
            label = curve["name"] if record["kind"] == "curve" else "%s: %s" % (arm, curve["name"])
            plots.setdefault(where, {}).setdefault(label, []).append((record, curve["points"]))
    made = Section("Curves")
    for where, series in sorted(plots.items()):
        lines, data, used = [], [], []
        short = {label.split(": ", 1)[0] for label in series}
        unique = len(short) == len(series) and all(": " in label for label in series)
        for label in sorted(series, key=natural):
            by_x = {}
            for record, points in series[label]:
                used.append(record)
                for point in points:
                    by_x.setdefault(point[0], []).append(point)
            points = []
            for x in sorted(by_x):
                group = by_x[x]
                mean = math.fsum(p[1] for p in group) / len(group)
                if len(group) == 1 and len(group[0]) == 4:
                    spread = (group[0][2], group[0][3])
                else:
                    spread = statistics.student_interval([p[1] for p in group]) or (None, None)
                points.append((x, mean, *spread))
                data.append([label, x, mean, *spread, len(group)])
            if points:
                lines.append((label.split(": ", 1)[0] if unique else label, points))
        if not lines:
            continue
        machine, experiment, dataset, x, y = where
        title = "%s / %s: %s against %s" % (experiment, dataset, y, x)
        name = fmt.slug("curve-" + title + (" " + machine if several_machines else ""))[:80]
        made.blocks.append(
            _line_figure(
                name,
                plain(title),
                lines,
                x,
                y,
                Data(["series", x, y, "low", "high", "repetitions"], data),
                context.command_of(used),
                "On %s." % names[machine] if several_machines else "",
            )
        )
    return made if made.blocks else None
