"""Numbers and names as a reader wants them: few digits, always a unit, the same in every locale."""

from __future__ import annotations

import math
import shlex

MISSING = "–"


def significant(value, digits=3):
    """`digits` significant digits without exponent between 1e-4 and 1e7, with one outside."""
    if value is None:
        return MISSING
    if value == 0:
        return "0"
    exponent = int(math.floor(math.log10(abs(float("%.*e" % (digits - 1, value))))))
    if -4 <= exponent < 7:
        return "%.*f" % (max(0, digits - 1 - exponent), value)
    mantissa, power = ("%.*e" % (digits - 1, value)).split("e")
    return "%s × 10%s" % (mantissa, superscript(int(power)))


def count(value):
    """To the nearest whole number, its thousands apart, from 10,000 on; below as `significant`."""
    return format(round(value), ",") if abs(value) >= 1e4 else significant(value)


def superscript(number):
    return str(number).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def minus(text):
    """A real minus sign in front of a negative number."""
    return text.replace("-", "−", 1) if text.startswith("-") else text


def percent(share, digits=1):
    return MISSING if share is None else minus("%.*f" % (digits, 100.0 * share + 0.0))


def points(difference, digits=1):
    """A difference of two shares, in points of per cent, without its unit."""
    return minus("%.*f" % (digits, 100.0 * difference + 0.0))


def percent_interval(interval, digits=1):
    return MISSING if interval is None else "[%s, %s]" % (percent(interval[0], digits), percent(interval[1], digits))


def points_interval(interval):
    return MISSING if interval is None else "[%s, %s]" % (points(interval[0]), points(interval[1]))


def p_value(p):
    """As in print: no leading zero, two significant digits, never "p = .000"."""
    if p < 0.001:
        return "p < .001"
    if p >= 0.995:
        return "p = 1"
    return "p = " + ("%.3f" % p if p < 0.0995 else "%.2f" % p).lstrip("0")


_TIME = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))


def time_scale(ns):
    """(factor, unit) in which `ns` nanoseconds reads best."""
    for factor, unit in _TIME:
        if ns >= factor:
            return factor, unit
    return 1.0, "ns"


def duration(ns):
    if ns is None:
        return MISSING
    factor, unit = time_scale(ns)
    return "%s %s" % (significant(ns / factor), unit)


def duration_interval(low, high, like):
    """Interval in the unit that `like` is printed in."""
    factor, _ = time_scale(like)
    return "[%s, %s]" % (significant(low / factor), significant(high / factor))


def ratio(value):
    return MISSING if value is None else ("%.2f" % value if 0.5 <= value < 10 else significant(value))


def ratio_interval(interval):
    return "[%s, %s]" % (ratio(interval[0]), ratio(interval[1]))


def rate(per_second, unit):
    """`per_second` units/s with an SI prefix."""
    if per_second is None:
        return MISSING
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if per_second >= factor:
            return "%s %s%s/s" % (significant(per_second / factor), prefix, unit)
    return "%s %s/s" % (significant(per_second), unit)


def size(count):
    """Bytes in binary multiples."""
    if count is None:
        return MISSING
    for factor, unit in ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB")):
        if count >= factor:
            return "%s %s" % (significant(count / factor), unit)
    return "%d B" % count


def plural(count, noun, many=None):
    return "%s %s" % (count, noun if count in (1, "1") else (many or noun + "s"))


def listing(names, last="and"):
    names = list(names)
    if len(names) < 2:
        return "".join(names)
    return "%s %s %s" % (", ".join(names[:-1]), last, names[-1])


def command(words):
    return " ".join(shlex.quote(word) for word in words)


def pretty(name):
    """snake_case and kebab names of metrics as words; arm names are shown as they are."""
    known = {"macro_f1": "macro-F1", "accuracy": "accuracy"}
    return known.get(name, name.replace("_", " "))


def slug(text):
    """Part of a file name or an element id: letters, digits and hyphens."""
    out = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower())
    while "--" in out:
        out = out.replace("--", "-")
    return out.strip("-") or "x"
