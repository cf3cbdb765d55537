"""Plots as SVG text: matplotlib with everything pinned that could differ between two runs.

Colours are written as CSS variables with a fallback, so that one SVG serves the light and the dark page and stands
alone as a file. Text stays text (sans-serif): small, searchable, and scaled by the browser.
"""

from __future__ import annotations

import io
import math
import re

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402 - after the backend is chosen
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator  # noqa: E402

from reports import format as fmt  # noqa: E402

INK, SOFT, GRID, PAPER = "#1b2026", "#66707b", "#e2e6ea", "#fefefe"
GOOD, BAD, EVEN = "#1a7f52", "#b3402a", "#66707c"
SERIES = ["#2563a8", "#c4571a", "#1c8a6b", "#a3528f", "#a67c00", "#4d9ac9", "#6b57a5", "#7a6a53"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<"]
VARIABLES = dict(
    [
        (INK, "--ink"),
        (SOFT, "--soft"),
        (GRID, "--grid"),
        (PAPER, "--paper"),
        (GOOD, "--good"),
        (BAD, "--bad"),
        (EVEN, "--even"),
    ]
    + [(colour, "--s%d" % (i + 1)) for i, colour in enumerate(SERIES)]
)
DARK = [
    "#e4e8ec",
    "#98a3ae",
    "#2e363e",
    "#14181c",
    "#56bd8b",
    "#ec8069",
    "#98a3ae",
    "#6fabe8",
    "#ee9157",
    "#4fc3a1",
    "#d78cc4",
    "#d4b04a",
    "#8ec9ee",
    "#a897e0",
    "#b9a68c",
]  # in the order of VARIABLES, as in page.css
WIDTH = 7.6  # inches at 72 dots: 547 units, shown at most that many CSS pixels x 1.4

_STYLE = {
    "svg.hashsalt": "hocket",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "lines.linewidth": 1.4,
    "lines.markersize": 5.0,
    "legend.frameon": False,
    "axes.unicode_minus": True,
    "axes.formatter.use_locale": False,
    "figure.dpi": 72.0,
    "text.usetex": False,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "legend.handlelength": 1.6,
}


def style():
    """Defaults of matplotlib, not of the user's matplotlibrc, then ours."""
    context = {**matplotlib.rcParamsDefault, **_STYLE}
    context.pop("backend", None)
    context.pop("backend_fallback", None)
    return matplotlib.rc_context(context)


def axes(height, columns=1, width=WIDTH):
    figure, made = plt.subplots(1, columns, figsize=(width, height), squeeze=False)
    return figure, list(made[0])


def finish(figure, name):
    """The figure as one SVG element whose ids begin with `name`, so that several can stand on one page."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    plt.close(figure)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.S)
    prefix = fmt.slug(name) + "-"
    text = re.sub(r'\bid="', 'id="' + prefix, text)
    text = re.sub(r"url\(#", "url(#" + prefix, text)
    text = re.sub(r'xlink:href="#', 'xlink:href="#' + prefix, text)
    for colour, variable in VARIABLES.items():
        text = re.sub(re.escape(colour) + r"\b", "var(%s, %s)" % (variable, colour), text, flags=re.I)
    text = re.sub(r"(\d\.\d{3})\d+", r"\1", text)  # a thousandth of a pixel is enough
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text).groups()
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r'\1 width="%s" height="%s" role="img"' % (width, height), text, count=1
    )
    return text.strip() + "\n"


def standalone(svg):
    """The same plot as a file of its own, which brings the colours of a dark page along."""
    rules = "".join("%s:%s;" % (VARIABLES[colour], dark) for colour, dark in zip(VARIABLES, DARK))
    end = svg.index(">") + 1
    return "%s\n <style>@media (prefers-color-scheme: dark) {svg {%s}}</style>%s" % (svg[:end], rules, svg[end:])


def _plain_log(axis):
    """1, 10, 100 or 1000 in words instead of powers; minor labels only where there would be fewer than two major
    ones."""
    low, high = sorted(axis.get_view_interval())
    subs = (1.0,) if high / low > 100 else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(10.0, subs=subs))
    axis.set_major_formatter(
        FuncFormatter(
            lambda v, _: (
                fmt.significant(v).rstrip("0").rstrip(".")
                if v < 1e4 and "." in fmt.significant(v)
                else fmt.significant(v)
            )
        )
    )
    axis.set_minor_formatter(NullFormatter())


def _ratio_ticks(axis):
    """Ticks at round ratios, denser the shorter the axis is."""
    low, high = sorted(axis.get_view_interval())
    dense = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5)
    wide = [m * 10.0**e for e in range(-6, 7) for m in (1.0, 2.0, 5.0)]
    ticks = [t for t in (dense if high / low < 3.5 else wide) if low <= t <= high]
    axis.set_ticks(ticks, ["%g" % t for t in ticks])
    axis.set_minor_locator(NullLocator())


def _spaced_ticks(axis, values, log):
    """A tick at every value, a label only where the previous one leaves it room."""
    place = [math.log(v) for v in values] if log else list(values)
    room, last, labels = 0.045 * (place[-1] - place[0]), -math.inf, []
    for value, at in zip(values, place):
        labels.append("%g" % value if at - last >= room else "")
        last = at if labels[-1] else last
    axis.set_ticks(values, labels)
    axis.set_minor_locator(NullLocator())


def label_points(axis, points, fontsize=7.5):
    """Names points (x, y, text, colour) without letting two names, or a name and a marker, cover each other.

    Positions are tried around each point, near before far; a name that fits nowhere is left to the table.
    """
    figure = axis.figure
    figure.canvas.draw()  # fixes the layout, so that pixels can be computed
    figure.set_layout_engine("none")
    frame = axis.get_window_extent()
    markers = [axis.transData.transform((x, y)) for x, y, _, _ in points]
    taken = []
    offsets = [
        (dx, dy)
        for far in (1.0, 2.0, 3.2)
        for dx, dy in ((7, 5), (7, -9), (-7, 5), (-7, -9), (0, 9), (0, -14))
        for dx, dy in ((dx * far, dy * far),)
    ]
    left_out = 0
    for (x, y, text, colour), (px, py) in zip(points, markers):
        wide, tall = 0.61 * fontsize * len(text), 1.15 * fontsize
        for dx, dy in offsets:
            left = px + dx - (wide if dx < 0 else wide / 2 if dx == 0 else 0)
            box = (left, py + dy, left + wide, py + dy + tall)
            inside = frame.x0 <= box[0] and box[2] <= frame.x1 + 4 and frame.y0 <= box[1] and box[3] <= frame.y1 + 4
            hit = any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken)
            on = any(box[0] - 3 < mx < box[2] + 3 and box[1] - 3 < my < box[3] + 3 for mx, my in markers)
            if inside and not hit and not on:
                taken.append(box)
                far = abs(dx) + abs(dy) > 16
                axis.annotate(
                    text,
                    (x, y),
                    (dx, dy),
                    textcoords="offset points",
                    fontsize=fontsize,
                    color=colour,
                    ha="right" if dx < 0 else "center" if dx == 0 else "left",
                    va="bottom",
                    arrowprops=dict(arrowstyle="-", color=SOFT, linewidth=0.5, shrinkA=0, shrinkB=3) if far else None,
                )
                break
        else:
            left_out += 1
    return left_out


def forest(name, rows, label, outer_name, inner_name):
    """Arms as rows. rows: dicts with name, value, test (interval), seed (interval), runs, best; the best group is
    coloured."""
    with style():
        figure, (axis,) = axes(0.75 + 0.27 * len(rows))
        named = set()

        def once(text):
            return None if text in named else named.add(text) or text

        for i, row in enumerate(rows):
            colour = SERIES[0] if row["best"] else EVEN
            if row["test"]:
                axis.plot(
                    row["test"],
                    [i - 0.1] * 2,
                    color=colour,
                    linewidth=2.2,
                    solid_capstyle="butt",
                    label=once(outer_name),
                )
            if row["seed"]:
                axis.plot(row["seed"], [i + 0.2] * 2, color=colour, linewidth=0.9, label=once(inner_name))
            if len(row["runs"]) > 1:
                axis.plot(
                    row["runs"], [i + 0.2] * len(row["runs"]), "|", color=colour, markersize=4, markeredgewidth=0.8
                )
            axis.plot(
                [row["value"]], [i - 0.1], "o", color=colour, markeredgecolor=PAPER, markeredgewidth=0.6, markersize=6
            )
        axis.set_yticks(range(len(rows)), [row["name"] for row in rows])
        axis.set_ylim(len(rows) - 0.4, -0.6)
        axis.grid(False, axis="y")
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        axis.set_xlabel(label)
        axis.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
        if named:
            figure.legend(loc="outside upper left", ncols=2)
        return finish(figure, name)


def _room_for_names(axis, x_label, y_label):
    """Labels and ticks of a cloud of named points over a logarithmic x axis, which is widened for the names."""
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    low, high = axis.get_xlim()
    axis.set_xlim(low / 1.1, high * (high / low) ** 0.12)
    _plain_log(axis.xaxis)
    axis.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))


def pareto(name, rows, x_label, y_label):
    """rows: dicts with name, x, x_ci, y, y_ci, front, dominated, inherited (its method's x). Cost on a logarithmic
    axis, lower left to upper left is better."""
    with style():
        figure, (axis,) = axes(4.1)
        front = sorted((r for r in rows if r["front"]), key=lambda r: r["x"])
        axis.set_xscale("log")
        if len(front) > 1:
            axis.step(
                [r["x"] for r in front],
                [r["y"] for r in front],
                where="post",
                color=SERIES[0],
                linewidth=1.0,
                alpha=0.5,
            )
        for row in rows:
            colour = SERIES[0] if row["front"] else SOFT if row["dominated"] else INK
            if row["y_ci"] and not row["inherited"]:
                axis.plot([row["x"]] * 2, row["y_ci"], color=colour, linewidth=0.8, alpha=0.55)
            if row["x_ci"] and not row["inherited"]:
                axis.plot(row["x_ci"], [row["y"]] * 2, color=colour, linewidth=0.8, alpha=0.55)
            axis.plot(
                [row["x"]],
                [row["y"]],
                "o" if row["front"] else "s" if not row["dominated"] else "o",
                color=colour,
                markerfacecolor=PAPER if row["dominated"] else colour,
                markersize=3.5 if row["inherited"] else 5.5,
                markeredgewidth=0.9,
            )
        _room_for_names(axis, x_label, y_label)
        shown = sorted(rows, key=lambda r: (not r["front"], r["dominated"], -r["y"], r["name"]))
        label_points(
            axis,
            [(r["x"], r["y"], r["name"], SERIES[0] if r["front"] else SOFT if r["dominated"] else INK) for r in shown],
        )
        return finish(figure, name)


def scatter(name, rows, x_label, y_label):
    """rows as for pareto; `front` is drawn in blue. A logarithmic x axis, no frontier: x is no cost to be minimised."""
    with style():
        figure, (axis,) = axes(4.1)
        axis.set_xscale("log")
        for row in rows:
            colour = SERIES[0] if row["front"] else INK
            if row["y_ci"]:
                axis.plot([row["x"]] * 2, row["y_ci"], color=colour, linewidth=0.8, alpha=0.55)
            axis.plot([row["x"]], [row["y"]], "o", color=colour, markersize=5.5, markeredgewidth=0.9)
        _room_for_names(axis, x_label, y_label)
        shown = sorted(rows, key=lambda r: (not r["front"], -r["y"], r["name"]))
        label_points(axis, [(r["x"], r["y"], r["name"], SERIES[0] if r["front"] else INK) for r in shown])
        return finish(figure, name)


def ratios(name, rows, label):
    """rows: dicts with name, ratio, ci, target, tone (good, bad, even). One line at 1, a tick at each target."""
    with style():
        figure, (axis,) = axes(0.75 + 0.27 * len(rows))
        axis.set_xscale("log")
        axis.axvline(1.0, color=SOFT, linewidth=0.9)
        for i, row in enumerate(rows):
            colour = {"good": GOOD, "bad": BAD}.get(row["tone"], EVEN)
            axis.plot(row["ci"], [i, i], color=colour, linewidth=2.0, solid_capstyle="butt")
            axis.plot([row["ratio"]], [i], "o", color=colour, markeredgecolor=PAPER, markeredgewidth=0.6, markersize=6)
            if row["target"]:
                axis.plot([row["target"]] * 2, [i - 0.36, i + 0.36], color=INK, linewidth=1.2)
        axis.set_yticks(range(len(rows)), [row["name"] for row in rows])
        axis.set_ylim(len(rows) - 0.4, -0.6)
        axis.grid(False, axis="y")
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        axis.set_xlabel(label)
        low, high = axis.get_xlim()
        axis.set_xlim(min(low, 0.8), max(high, 1.25))
        _ratio_ticks(axis.xaxis)
        return finish(figure, name)


def lines(name, series, x_label, y_label, log_x=False, log_y=False, x_ticks=None, height=3.5, levels=()):
    """series: list of (label, points) with points (x, y, low or None, high or None) in rising x; levels: (label, y)
    across."""
    with style():
        figure, (axis,) = axes(height)
        if log_x:
            axis.set_xscale("log")
        if log_y:
            axis.set_yscale("log")
        for i, (label, points) in enumerate(series):
            colour, x = SERIES[i % len(SERIES)], [p[0] for p in points]
            if all(p[2] is not None for p in points):
                axis.fill_between(
                    x, [p[2] for p in points], [p[3] for p in points], color=colour, alpha=0.13, linewidth=0
                )
            axis.plot(
                x,
                [p[1] for p in points],
                color=colour,
                marker=MARKERS[i % len(MARKERS)],
                markersize=4,
                linestyle="-" if i < len(SERIES) else "--",
                markeredgecolor=PAPER,
                markeredgewidth=0.4,
                label=label,
            )
        colours = {label: SERIES[i % len(SERIES)] for i, (label, _) in enumerate(series)}
        for label, y in levels:
            axis.axhline(
                y, color=colours.get(label.split(",")[0], SOFT), linewidth=1.0, linestyle=(0, (2, 2)), label=label
            )
        axis.set_xlabel(x_label)
        axis.set_ylabel(y_label)
        if x_ticks:
            _spaced_ticks(axis.xaxis, x_ticks, log_x)
        elif log_x:
            _plain_log(axis.xaxis)
        if log_y:
            _plain_log(axis.yaxis)
        else:
            axis.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
        named = [label for label, _ in [*series, *levels]]
        if len(named) > 1:
            figure.legend(loc="outside upper left", ncols=max(1, min(len(named), 96 // (max(map(len, named)) + 7))))
        return finish(figure, name)
