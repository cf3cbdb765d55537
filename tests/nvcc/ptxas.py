"""What ptxas -v says about each entry point of a translation unit, read from its text."""
import re
from typing import NamedTuple

ENTRY = re.compile(r"Compiling entry function '(?P<entry>\w+)' for '(?P<arch>sm_\w+)'")
STACK = re.compile(r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (?P<registers>\d+) registers")
SHARED = re.compile(r"(?P<shared>\d+) bytes smem")
WARNING = re.compile(r"\b(warning|error)\b", re.I)


class Usage(NamedTuple):
    """Resources of one entry point: registers a thread, bytes of static shared memory a block, bytes of stack a thread."""
    entry: str
    arch: str
    registers: int
    shared: int
    stack: int
    spill_stores: int
    spill_loads: int


class Unreadable(Exception):
    """The output is not what this parser knows: better an error than a kernel without a figure."""


def parse(text):
    """(usages, warnings): one Usage for each entry point, and every line that is a warning or an error."""
    usages, warnings, current = [], [], None

    def close():
        if current is None:
            return
        missing = [name for name in ("stack", "registers") if name not in current]
        if missing:
            raise Unreadable(f"{current['entry']} for {current['arch']}: no line with {' and '.join(missing)}")
        usages.append(Usage(current["entry"], current["arch"], current["registers"], current.get("shared", 0), current["stack"],
                            current["stores"], current["loads"]))

    in_function = None  # "Function properties for" may also name a device function that was not inlined
    for line in text.splitlines():
        if WARNING.search(line.split("ptxas info")[0]):
            warnings.append(line.strip())
        entry = ENTRY.search(line)
        if entry:
            close()
            current = {"entry": entry["entry"], "arch": entry["arch"]}
            continue
        properties = re.search(r"Function properties for (\w+)", line)
        if properties:
            in_function = properties[1]
            continue
        stack = STACK.search(line)
        if stack and (current is None or in_function != current["entry"]):
            if int(stack["stores"]) or int(stack["loads"]):
                warnings.append(f"{in_function}, a function that was not inlined, spills: {line.strip()}")
            continue
        if current is None:
            continue
        if stack:
            current.update({key: int(value) for key, value in stack.groupdict().items()})
        registers = REGISTERS.search(line)
        if registers:
            current["registers"] = int(registers["registers"])
            shared = SHARED.search(line)
            current["shared"] = int(shared["shared"]) if shared else 0
    close()
    return usages, warnings
