"""Does training few numbers equal training all of them? Boards whose arms say how many numbers they train.

The reference of a board is the arm that trains most; all others are compared with it, in points of the ranked metric,
against the margin that the protocol declared before the run. A rule looks at numbers, never at names.
"""

from __future__ import annotations

import re

from reports import analysis, context, figures
from reports import format as fmt
from reports.document import Cell, Column, Data, Figure, Section, Table, Verdict, plain

TRAINED, MEMORY, SIZE, FORGOTTEN = "trainable_parameters", "training_memory", "adapter_size", "forgetting"


def _value(arm, name):
    metric = arm.metrics.get(name)
    return None if metric is None else metric.value


def trained_arms(board):
    """Arms that were trained on a tape, from the most trained numbers to the fewest."""
    arms = [arm for arm in board.arms.values() if _value(arm, TRAINED) and _value(arm, MEMORY) is not None]
    return sorted(arms, key=lambda arm: (-_value(arm, TRAINED), arm.name))


def reference(board):
    """The arm that all others are compared with; None where the board has no such question."""
    arms = trained_arms(board)
    return arms[0] if len(arms) > 1 and board.ranked and arms[0].rank is not None else None


def verdicts(board):
    """One sentence: which arms equal the reference within the margin, which are better or worse, which are open."""
    whole = reference(board)
    if whole is None:
        return []
    groups = {"equivalent": [], "better": [], "worse": [], "unresolved": []}
    for arm in trained_arms(board)[1:]:
        one = board.comparisons.get((arm.name, whole.name))
        if one is None:
            continue
        share = _value(arm, TRAINED) / _value(whole, TRAINED)
        groups[one.verdict].append(
            "**%s** (%s %% of the numbers, %s points %s)"
            % (
                plain(arm.name),
                fmt.significant(100 * share, 2),
                ("+" if one.difference > 0 else "") + fmt.points(one.difference),
                fmt.points_interval(one.interval) if one.interval else "",
            )
        )
    margin = next(iter(board.comparisons.values())).margin
    said = [
        (groups["equivalent"], "equal within %s: " % fmt.plural(fmt.points(margin, 0), "point")),
        (groups["better"], "better: "),
        (groups["worse"], "worse: "),
        (groups["unresolved"], "not resolved: "),
    ]
    text = "On %s, compared with **%s**, which trains all %s numbers (%s %% %s), %s." % (
        plain(board.dataset),
        plain(whole.name),
        format(int(_value(whole, TRAINED)), ","),
        fmt.pretty(board.metric),
        fmt.percent(_value(whole, board.metric)),
        "; ".join(word + fmt.listing(arms) for arms, word in said if arms),
    )
    tone = "even" if groups["equivalent"] or groups["better"] else "worse" if groups["worse"] else "open"
    return [Verdict(text, tone)]


def _table(name, board, whole, cost):
    columns = [
        Column("arm"),
        Column("trained numbers", True),
        Column("share", True, "%"),
        Column(fmt.pretty(board.metric), True, "%"),
        Column("test 95 %", True),
        Column("%s 95 %%" % board.repetition, True),
        Column("minus %s" % plain(whole.name), True, "points"),
        Column("95 %", True),
        Column("verdict"),
        Column("forgetting", True, "points"),
        Column("adapter", True),
        Column("training memory", True),
        Column("ms a step", True),
    ]
    rows, data = [], []
    for arm in trained_arms(board):
        metric = arm.metrics[board.metric]
        one = board.comparisons.get((arm.name, whole.name))
        forgotten, bytes_, memory = _value(arm, FORGOTTEN), _value(arm, SIZE), _value(arm, MEMORY)
        share, mine = _value(arm, TRAINED) / _value(whole, TRAINED), cost.get(arm.name)
        verdict = one.verdict if one else "reference" if arm is whole else "not compared"
        tone = {"better": "good", "worse": "bad", "equivalent": "even"}.get(one.verdict, "faint") if one else ""

        def interval(values):
            return Cell(fmt.MISSING if values is None else fmt.percent_interval(values), None if values is None else values[0])

        rows.append(
            [
                Cell(plain(arm.name)),
                Cell(format(int(_value(arm, TRAINED)), ","), _value(arm, TRAINED)),
                Cell(fmt.significant(100 * share, 2), share),
                Cell(fmt.percent(metric.value), metric.value),
                interval(metric.test),
                interval(metric.seed),
                Cell(fmt.points(one.difference) if one else "·", one.difference if one else 0.0, tone),
                Cell(fmt.points_interval(one.interval) if one and one.interval else fmt.MISSING),
                Cell(verdict, None, tone),
                Cell(fmt.MISSING if forgotten is None else fmt.points(forgotten), forgotten),
                Cell(fmt.size(bytes_), bytes_),
                Cell(fmt.size(memory), memory),
                Cell(fmt.significant(mine.median / 1e6) if mine else fmt.MISSING, mine.median if mine else None),
            ]
        )
        data.append(
            [
                arm.name,
                _value(arm, TRAINED),
                metric.value,
                *(metric.test or (None, None)),
                *(metric.seed or (None, None)),
                *((one.difference, *(one.interval or (None, None)), *(one.interval90 or (None, None))) if one else [None] * 5),
                one.holm_p if one else None,
                verdict,
                forgotten,
                bytes_,
                memory,
                mine.median if mine else None,
            ]
        )
    header = ["arm", "trained", board.metric, "test_low", "test_high", "seed_low", "seed_high", "difference", "low", "high"]
    header += ["low_90", "high_90", "holm_p", "verdict", "forgetting", "adapter_bytes", "training_bytes", "step_ns"]
    margin = next(iter(board.comparisons.values())).margin
    return Table(
        name + "-reference",
        "Arms against the one that trains most. Equivalent: the 90 %% interval lies within ±%s points, a margin declared "
        "before the run (two one-sided tests). Intervals over test units and over %s stand apart."
        % (fmt.points(margin, 0), board.repetition),
        columns,
        rows,
        Data(header, data),
    )


def _plot(name, board):
    rows, data = [], []
    for arm in trained_arms(board):
        metric = arm.metrics[board.metric]
        rows.append(
            dict(
                name=arm.name,
                x=_value(arm, TRAINED),
                x_ci=None,
                y=100 * metric.value,
                y_ci=[100 * v for v in metric.test] if metric.test else None,
                front=arm.best,
                dominated=False,
                inherited=False,
            )
        )
        data.append([arm.name, _value(arm, TRAINED), metric.value, *(metric.test or (None, None))])
    svg = figures.scatter(name + "-trained", rows, "trained numbers", fmt.pretty(board.metric) + " (%)")
    return Figure(
        name + "-trained",
        "%s against trained numbers" % fmt.pretty(board.metric).capitalize(),
        "Blue: the best group, every arm that nothing beats. Bars: 95 % intervals over test units.",
        svg,
        Data(["arm", TRAINED, board.metric, "test_low", "test_high"], data),
        context.command_of(board.records),
    )


def blocks(name, board, cost):
    """For the board's own section: the table against the reference and the plot."""
    whole = reference(board)
    return [] if whole is None else [_table(name, board, whole, cost), _plot(name, board)]


def size_section(boards):
    """The ranked metric against the share of the training data, where data sets are called NAME_<share>pct."""
    series = {}
    for board in boards:
        match = re.fullmatch(r"(.+)_(\d+)pct", board.dataset)
        if match and reference(board) is not None:
            series.setdefault((board.machine, board.experiment, match[1]), {})[int(match[2])] = board
    made = Section("Size of the training data")
    for (_, experiment, dataset), sizes in sorted(series.items()):
        if len(sizes) < 2:
            continue
        arms = sorted(set.intersection(*({a.name for a in trained_arms(b)} for b in sizes.values())))
        lines, data = [], []
        for arm in arms:
            points = []
            for size in sorted(sizes):
                metric = sizes[size].arms[arm].metrics[sizes[size].metric]
                spread = metric.seed or (None, None)
                points.append((size, 100 * metric.value, *(None if v is None else 100 * v for v in spread)))
                data.append([arm, size, metric.value, *spread])
            lines.append((arm, points))
        if not lines:
            continue
        first = sizes[min(sizes)]
        name = fmt.slug("%s-%s-size" % (experiment, dataset))
        made.blocks.append(
            Figure(
                name,
                "%s / %s: %s against the share of the training data" % (plain(experiment), plain(dataset), fmt.pretty(first.metric)),
                "Bands: 95 % intervals over seeds, each of which draws its own part of the data.",
                figures.lines(name, lines, "training data (%)", fmt.pretty(first.metric) + " (%)", True, False, sorted(sizes)),
                Data(["arm", "per_cent", first.metric, "seed_low", "seed_high"], data),
                context.command_of([r for b in sizes.values() for r in b.records]),
            )
        )
    return made if made.blocks else None
