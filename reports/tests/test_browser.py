"""The page in a real browser: no error on the console, no request, tables that sort. Skipped by name without
Chromium."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from reports import records, render
from reports.tests import synthetic


def browser():
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if shutil.which(name):
            return shutil.which(name)
    return None


class Browser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.program = browser()
        if cls.program is None:
            raise unittest.SkipTest("no Chromium on the PATH: the page was not opened in a browser")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.files = render.files(*render.build(records.RecordSet(synthetic.everything())))
        render.write(cls.files, cls.folder / "out")

    def open(self, page, address="", *arguments):
        """(page after its scripts ran, console and log lines, requested addresses)."""
        log = self.folder / "net.json"
        if log.exists():
            log.unlink()
        done = subprocess.run(
            [
                self.program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-extensions",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-default-apps",
                "--user-data-dir=%s" % (self.folder / "profile"),
                "--enable-logging=stderr",
                "--v=0",
                "--virtual-time-budget=4000",
                "--log-net-log=%s" % log,
                "--net-log-capture-mode=Everything",
                *arguments,
                "--dump-dom",
                page.as_uri() + address,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "HOME": str(self.folder)},
        )
        console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        return done.stdout, console, self.requests(log)

    @staticmethod
    def requests(log):
        """Addresses that a page asked for, from Chromium's own network log; the browser's own traffic is not the
        page's."""
        text = log.read_text(encoding="utf-8", errors="replace").rstrip().rstrip(",")
        try:
            events = json.loads(text)["events"]
        except ValueError:  # the browser left before it closed the list
            events = json.loads(text + "]}")["events"]
        found = []
        for event in events:
            parameters = event.get("params") or {}
            if (
                isinstance(parameters, dict)
                and str(parameters.get("url", "")).startswith(("http:", "https:", "ws:", "wss:", "ftp:"))
                and parameters.get("initiator") not in (None, "not an origin")
            ):
                found.append(parameters["url"])
        return found

    def rows(self, dom, table, column=1):
        body = dom[dom.index('id="table-%s"' % table) :]
        body = body[body.index("<tbody>") : body.index("</tbody>")]
        return [re.sub(r"<[^>]+>", "", row.split("</td>")[column]).strip() for row in body.split("<tr>")[1:]]

    def test_no_error_on_the_console_and_no_request(self):
        dom, console, requests = self.open(self.folder / "out" / "index.html")
        self.assertIn("</html>", dom)
        self.assertEqual(console, [])
        self.assertEqual(requests, [])

    def test_the_test_sees_errors_and_requests(self):
        bad = self.folder / "bad.html"
        bad.write_text(
            '<html><img src="http://127.0.0.1:9/x.png"><script>undefinedFunction();</script></html>', encoding="utf-8"
        )
        _, console, requests = self.open(bad)
        self.assertTrue(any("undefinedFunction" in line for line in console), console)
        self.assertIn("http://127.0.0.1:9/x.png", requests)

    def test_tables_sort_by_value_in_both_directions(self):
        page, table = self.folder / "out" / "index.html", "audio-features-style-main"
        dom, console, _ = self.open(page)
        best_first = self.rows(dom, table, 2)  # accuracies; arms may tie
        self.assertEqual(len(best_first), len(synthetic.AUDIO_ARMS))
        self.assertEqual(best_first, sorted(best_first, key=float, reverse=True))
        self.assertNotRegex(dom, "<th[^>]*aria-sort")
        up, _, _ = self.open(page, "#sort=%s,2" % table)
        down, console, _ = self.open(page, "#sort=%s,2,desc" % table)
        self.assertEqual(self.rows(up, table, 2), best_first[::-1])
        self.assertEqual(self.rows(down, table, 2), best_first)
        self.assertEqual(len(re.findall('<th[^>]*aria-sort="descending"', down)), 1)
        self.assertEqual(console, [])

    def test_a_click_sorts(self):
        """The same page with a script that clicks twice, as a reader would."""
        table = "audio-features-style-main"
        clicks = (
            "<script>addEventListener('load', () => { const b = document.querySelectorAll('#table-%s th button')[1];"
            " b.click(); b.click(); });</script></body>" % table
        )
        page = self.folder / "clicked.html"
        page.write_text(self.files["index.html"].replace("</body>", clicks), encoding="utf-8")
        dom, console, _ = self.open(page)
        self.assertEqual(console, [])
        self.assertEqual(self.rows(dom, table)[0], "stft-bands")
        self.assertEqual(self.rows(dom, table)[-1], "mel")

    def test_nothing_but_scroll_boxes_is_wider_than_a_narrow_window(self):
        probe = (
            "<script>addEventListener('load', () => { document.title = 'wide:' + Array.from(document.querySelectorAll("
            "'body *')).filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll, pre'))"
            ".map(e => e.tagName + '.' + e.className).join(' '); });</script></body>"
        )
        page = self.folder / "narrow.html"
        page.write_text(self.files["index.html"].replace("</body>", probe), encoding="utf-8")
        for width in (500, 1280):
            dom, _, _ = self.open(page, "", "--window-size=%d,900" % width)
            self.assertIn("<title>wide:</title>", dom, re.search("<title>.*</title>", dom).group(0)[:300])


if __name__ == "__main__":
    unittest.main()
