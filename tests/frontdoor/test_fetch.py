"""experiments/data: the embedded sets are what their manifests say, and fetch.py refuses what it should."""
import contextlib
import io
import struct
import sys
import tarfile
import tempfile
import unittest
import zlib
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "experiments" / "data"))
import fetch  # noqa: E402
import sets  # noqa: E402

EMBEDDED = ROOT / "experiments" / "data" / "embedded"


def gray_png(rows, filters):
    """A PNG whose lines carry the given filter types; `rows` are unfiltered bytes."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    raw, before = b"", bytes(len(rows[0]))
    for line, kind in zip(rows, filters):
        filtered = []
        for x, value in enumerate(line):
            a, b, c = (line[x - 1] if x else 0), before[x], (before[x - 1] if x else 0)
            p = a + b - c
            paeth = a if abs(p - a) <= abs(p - b) and abs(p - a) <= abs(p - c) else b if abs(p - b) <= abs(p - c) else c
            filtered.append((value - (0, a, b, (a + b) // 2, paeth)[kind]) % 256)
        raw, before = raw + bytes([kind]) + bytes(filtered), line
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


class Embedded(unittest.TestCase):
    def test_every_file_is_the_one_in_the_manifest(self):
        for folder in ("sounds", "digits"):
            rows = fetch.read_tsv(EMBEDDED / folder / "manifest.tsv")
            described = {row["key"]: row["value"] for row in fetch.read_tsv(EMBEDDED / folder / "set.tsv")}
            self.assertEqual(fetch.problems(EMBEDDED / folder), [])
            digest = fetch.content_digest([tuple(row.values()) for row in rows])
            self.assertEqual(described["sha256"], digest)
            listed = {row["path"] for row in rows} | {"manifest.tsv", "set.tsv", "NOTICE.md", "LICENSE"}
            self.assertEqual({path.name for path in (EMBEDDED / folder).iterdir()} - listed, set())
            self.assertTrue((EMBEDDED / folder / "NOTICE.md").is_file())

    def test_size(self):
        self.assertLessEqual(sum(path.stat().st_size for path in EMBEDDED.rglob("*") if path.is_file()), 3_000_000)

    def test_every_sound_is_attributed(self):
        notice = (EMBEDDED / "sounds" / "NOTICE.md").read_text(encoding="utf-8")
        for row in fetch.read_tsv(EMBEDDED / "sounds" / "manifest.tsv"):
            self.assertEqual(row["licence"], "CC0-1.0")
            self.assertIn(f"| {row['path']} |", notice)

    def test_digits(self):
        lines = (EMBEDDED / "digits" / "digits.csv").read_text(encoding="ascii").splitlines()
        values = [[int(value) for value in line.split(",")] for line in lines]
        self.assertEqual((len(values), {len(row) for row in values}), (1797, {65}))
        self.assertTrue(all(0 <= value <= 16 for row in values for value in row[:64]))
        self.assertEqual({row[64] for row in values}, set(range(10)))


class Selection(unittest.TestCase):
    def test_classes_of_sounds(self):
        for stem, label, unit in [("bd_808", "kick", "bd_808"), ("elec_hi_snare", "snare", "elec_hi_snare"), ("drum_snare_hard", "snare", "drum_snare"),
                                  ("tabla_ghe7", "tabla", "tabla_ghe"), ("elec_blip2", "electronic", "elec_blip"), ("loop_amen", None, "loop_amen"),
                                  ("drum_cymbal_soft", "cymbal", "drum_cymbal"), ("drum_roll", None, "drum_roll")]:
            self.assertEqual((sets.sonic_pi_class(stem), sets.sonic_pi_unit(stem)), (label, unit))

    def test_instruments_of_kits(self):
        import re
        for name, label in [("bassdrum", "kick"), ("crash/ride bell", None), ("snare rimshot", "snare"), ("floor tom", "tom"), ("tomhi2", "tom"),
                            ("hi-hat closed", "hat"), ("closed hh 1", "hat"), ("side ohh", "hat"), ("stick", "stick"), ("18", None), ("zap 1", None)]:
            found = next((label for pattern, label in sets.DRUMS if re.search(pattern, name)), None)
            self.assertEqual(found, label, name)


class Fetch(unittest.TestCase):
    def run_main(self, *arguments):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = fetch.main(list(arguments))
        return code, out.getvalue(), err.getvalue()

    def test_unknown_set(self):
        code, _, err = self.run_main("music_stile")
        self.assertEqual(code, 2)
        self.assertIn("known are: music_style", err)

    def test_what_cannot_be_had_is_named_and_skipped(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict("os.environ", {"HOCKET_CACHE": folder}):
            empty = Path(folder) / "empty"
            empty.mkdir()
            code, _, err = self.run_main("sonic_pi", "--from", str(empty))
            self.assertEqual(code, 4)
            self.assertIn("sonic_pi: skipped:", err)
            self.assertEqual(list((Path(folder) / "data").iterdir()), [])

    def test_without_apt(self):
        with mock.patch("shutil.which", return_value=None), self.assertRaisesRegex(fetch.Unavailable, "--from DIR"):
            fetch.download(sets.SETS[0].packages[0], ".", None)

    def test_changed_content_is_refused(self):
        with tempfile.TemporaryDirectory() as folder, self.assertRaisesRegex(fetch.Unavailable, "not those that were looked into"):
            fetch.write_description(sets.SETS[2], Path(folder), [("a.flac", "kick", "a", "CC0-1.0", "0" * 64)], ["v"])

    def test_changed_file_is_seen(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a.csv").write_text("1")
            fetch.write_description(sets.Set("s", "t", "u", [], "", None), Path(folder),
                                    [("a.csv", "c", "u", "l", fetch.sha256(Path(folder) / "a.csv"))], ["v"])
            self.assertEqual(fetch.problems(Path(folder)), [])
            (Path(folder) / "a.csv").write_text("2")
            self.assertEqual(fetch.problems(Path(folder)), ["a.csv"])

    def test_a_package_of_the_index_is_the_one_that_was_looked_into(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "p-1.tar.gz"
            path.write_bytes(b"changed")
            package = sets.PythonPackage("p", "1", path.name, 7, fetch.sha256(path))
            self.assertEqual(fetch.download(package, folder, folder), path)
            package.sha256 = "0" * 64
            with self.assertRaisesRegex(fetch.Unavailable, "not the file that was looked into"):
                fetch.download(package, folder, folder)
            package.file = "p-2.tar.gz"
            with self.assertRaisesRegex(fetch.Unavailable, "holds no p-2.tar.gz"):
                fetch.download(package, folder, folder)

    def test_archives_stay_inside_their_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            archive, inside = Path(folder) / "a.tar.gz", Path(folder) / "root" / "inside"
            inside.mkdir(parents=True)
            with tarfile.open(archive, "w:gz") as packed:
                for name in ("../outside", "/outside", "kept/file"):
                    member = tarfile.TarInfo(name)
                    member.size = 1
                    packed.addfile(member, io.BytesIO(b"x"))
            fetch.unpack(archive, inside)
            self.assertEqual([path.name for path in Path(folder, "root").rglob("*") if path.is_file()], ["file"])

    def test_png_filters(self):
        rows = [bytes((x * 37 + y * 91 + x * y) % 256 for x in range(13)) for y in range(10)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.png"
            path.write_bytes(gray_png(rows, [0, 1, 2, 3, 4, 4, 3, 2, 1, 0]))
            self.assertEqual(fetch.read_gray_png(path), (13, 10, rows))


if __name__ == "__main__":
    unittest.main()
