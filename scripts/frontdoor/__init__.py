"""The parts of ./hocket: command_line (verbs), machine (packages, Python), build (CMake), checks (tests)."""
