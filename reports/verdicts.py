"""Sentences made by rules from comparisons, ratios and parity rows. A rule never looks at a name, only at numbers."""

from __future__ import annotations

from reports import context, finetuning, inference, statistics
from reports import format as fmt
from reports.document import Verdict, plain


def _units(board):
    protocol = board.records[0]["protocol"]
    return protocol["split_unit"]


def comparison_sentence(one, metric, unit):
    """One pair of arms in words."""
    a, b = plain(one.a), plain(one.b)
    gap, interval = fmt.points(abs(one.difference)), one.interval
    if interval is not None and one.difference < 0:
        interval = (-interval[1], -interval[0])
    shown = "%s points %s" % (gap, fmt.points_interval(interval) if interval else "(too few units for an interval)")
    if one.verdict in ("better", "worse"):
        first, second = (a, b) if one.verdict == "better" else (b, a)
        return "**%s** beats **%s** by %s, Holm %s." % (first, second, shown, fmt.p_value(one.holm_p))
    if one.verdict == "equivalent":
        return "**%s** and **%s** are equivalent in %s within %s: they differ by %s." % (
            a,
            b,
            metric,
            fmt.plural(fmt.points(one.margin, 0), "point"),
            shown,
        )
    return "no difference between **%s** and **%s** could be resolved: %s, Holm %s; these %s can resolve %s points." % (
        a,
        b,
        shown,
        fmt.p_value(one.holm_p),
        fmt.plural(one.units, unit),
        fmt.points(one.resolvable),
    )


def board_verdicts(board):
    """The best group, then the best arm against the best arm outside that group, then the closest pair inside it."""
    metric = fmt.pretty(board.metric)
    ordered = [arm for arm in board.ordered() if arm.rank is not None]
    if len(ordered) < 2:
        return []
    where, unit = "On %s" % plain(board.dataset), _units(board)
    best = [arm for arm in ordered if arm.best]
    rest = [arm for arm in ordered if not arm.best]
    top, value = ordered[0], fmt.percent(ordered[0].metrics[board.metric].value)
    out = []
    if not rest:
        strongest = max(board.comparisons[(a.name, b.name)].resolvable for a in ordered for b in ordered if a is not b)
        out.append(
            Verdict(
                "%s none of %d arms is separable from the best, **%s** (%s %s %%): the data can resolve %s points "
                "at best between two arms compared once."
                % (where, len(ordered), plain(top.name), metric, value, fmt.points(strongest)),
                "open",
            )
        )
    elif len(best) == 1:
        out.append(
            Verdict(
                "%s **%s** has the highest %s, %s %% %s, separable from every other of %d arms."
                % (
                    where,
                    plain(top.name),
                    metric,
                    value,
                    fmt.percent_interval(top.metrics[board.metric].test),
                    len(ordered),
                ),
                "better",
            )
        )
    else:
        names = [plain(arm.name) for arm in best[:4]]
        if len(best) > 4:
            names.append("%d more" % (len(best) - 4))
        out.append(
            Verdict(
                "%s the best group by %s is %s (%d of %d arms; highest %s %%): no other arm "
                "beats them."
                % (where, metric, fmt.listing("**%s**" % n for n in names), len(best), len(ordered), value),
                "even",
            )
        )
    if rest:
        out.append(
            Verdict(
                "%s: %s" % (where, comparison_sentence(board.comparisons[(top.name, rest[0].name)], metric, unit)),
                "better",
            )
        )
    if len(best) > 1:
        one = board.comparisons[(top.name, best[1].name)]
        out.append(
            Verdict(
                "%s: %s" % (where, comparison_sentence(one, metric, unit)),
                "even" if one.verdict == "equivalent" else "open",
            )
        )
    return out


def ratio_outcome(ratio):
    """good, bad or even for one recorded ratio: by its target if it has one, else by its interval around 1."""
    if ratio.get("met") is not None:
        return "good" if ratio["met"] else "bad"
    side = statistics.ratio_verdict(ratio["ratio"], ratio["ci95"], ratio["better"])
    return {"better": "good", "worse": "bad"}.get(side, "even")


def ratio_sentence(record, ratio):
    text = "%s%s: time of %s over %s is **%s×** %s" % (
        plain(ratio["name"]),
        "".join(" on %s" % name for name in context.gpus([record])),
        plain(ratio["numerator"]),
        plain(ratio["denominator"]),
        fmt.ratio(ratio["ratio"]),
        fmt.ratio_interval(ratio["ci95"]),
    )
    if ratio.get("target") is not None:
        word = "≤" if ratio["better"] == "lower" else "≥"
        text += ", target %s %s: %s" % (word, fmt.ratio(ratio["target"]), "met" if ratio.get("met") else "**missed**")
    return text + "."


def ratio_verdicts(record_set):
    """How many targets are met, then every missed one by name; the same for wins and losses where there is no
    target."""
    ratios = [(record, r) for record in record_set.kind("compare") for r in record.get("ratios", ())]
    with_target = [(record, r) for record, r in ratios if r.get("met") is not None]
    missed = [(record, r) for record, r in with_target if not r["met"]]
    out = []
    if with_target:
        out.append(
            Verdict(
                "%d of %s met."
                % (
                    len(with_target) - len(missed),
                    fmt.plural(len(with_target), "speed target is", "speed targets are"),
                ),
                "worse" if missed else "better",
            )
        )
        out += [Verdict(ratio_sentence(*one), "worse") for one in missed]
    free = [(record, r) for record, r in ratios if r.get("met") is None]
    if free:
        lost = [(record, r) for record, r in free if ratio_outcome(r) == "bad"]
        even = [(record, r) for record, r in free if ratio_outcome(r) == "even"]
        out.append(
            Verdict(
                "Of %s without a target, %d won, %d lost, %d not separable from 1."
                % (fmt.plural(len(free), "comparison"), len(free) - len(lost) - len(even), len(lost), len(even)),
                "worse" if lost else "better",
            )
        )
        out += [Verdict(ratio_sentence(*one), "worse") for one in lost]
    return out


def parity_verdicts(record_set):
    rows = [row for record in record_set.kind("parity") for row in record.get("parity", ())]
    if not rows:
        return []
    wrong = [row for row in rows if not row["ok"]]
    cases = sum(row["cases"] for row in rows)
    peers = sorted({"%s %s" % (plain(row["peer"]), plain(row["peer_version"])) for row in rows})
    out = [
        Verdict(
            "The numbers agree with %s in %d of %s (%s)."
            % (
                fmt.listing(peers),
                len(rows) - len(wrong),
                fmt.plural(len(rows), "parity row"),
                fmt.plural(cases, "case"),
            ),
            "worse" if wrong else "better",
        )
    ]
    for row in wrong:
        out.append(
            Verdict(
                "%s %s against %s, %s: error %s is above the bound %s."
                % (
                    plain(row.get("preset", "")),
                    plain(row["what"]),
                    plain(row["peer"]),
                    plain(row["dtype"]),
                    fmt.significant(row["max_error"]),
                    fmt.significant(row["bound"]),
                ),
                "worse",
            )
        )
    return out


def all_verdicts(record_set, boards):
    out = []
    for board in boards:
        out += board_verdicts(board) + finetuning.verdicts(board)
    return out + inference.verdicts(record_set, boards) + ratio_verdicts(record_set) + parity_verdicts(record_set)
