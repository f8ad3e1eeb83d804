#!/usr/bin/python3
"""Does the page of llm_status work in a real browser?

Serves dist/index.html with its policy and reports that change as those of a busy gateway do, opens
it in headless Chromium and looks. Needs Debian's python3-selenium and chromium-driver.

    src/status-page/test/page.py [folder for screenshots]
"""

import http.server
import json
import os
import random
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

DIST = Path(__file__).resolve().parent.parent / "dist"
EVIL = '=1+1<img src=x onerror="document.title=\'owned\'">'


class Gateway:
    """What the page is told."""

    def __init__(self):
        self.random = random.Random(7)
        self.down = False
        self.broken = False
        self.asked = 0
        self.count = 0
        self.recent = []
        self.hours = {name: self.hour(*of) for name, of in
                      {"deepseek": (70, 420, 3), "mimo": (18, 910, 1), "anthropic": (34, 640, 0)}.items()}
        for _ in range(40):
            self.request()

    def hour(self, rate, ttft, failing):
        pick = self.random.randint
        attempts = [max(0, rate + pick(-rate // 3, rate // 3)) for _ in range(60)]
        failures = [min(n, failing and pick(0, failing)) for n in attempts]
        for at in range(31, 36):
            failures[at] = int(attempts[at] * (0.7 if failing == 3 else 0))
        return {
            "attempts": attempts, "failures": failures, "requests": attempts[:],
            "errors": [n // 4 for n in failures],
            "latency_ms": [ttft * 4 + pick(0, 400) for _ in attempts],
            "ttft_ms": [ttft + pick(-ttft // 5, ttft // 4) for _ in attempts],
            "input_tokens": [n * 840 for n in attempts], "output_tokens": [n * 310 for n in attempts],
            "cost": [f"{n * 0.00041:.8f}" for n in attempts],
        }

    def request(self):
        self.count += 1
        fell = self.down or self.random.random() < 0.15
        failed = not fell and self.random.random() < 0.06
        took, tag = self.random.randint(300, 9000), [None, "nightly", EVIL][self.count % 3]
        first = "deepseek/deepseek-v4-pro"
        chain = f"{first}:429:212ms, mimo/mimo-v2.5-pro:200:{took}ms" if fell else f"{first}:{500 if failed else 200}:{took}ms"
        if self.count % 9 == 0:
            chain = f"{first}:skipped(benched), mimo/mimo-v2.5-pro:200:{took}ms"
            fell = True
        self.recent.insert(0, {
            "event_id": f"{self.count:032x}", "time": now(), "chain": chain,
            "provider": "mimo" if fell else "deepseek",
            "model": "mimo-v2.5-pro" if fell else "deepseek-v4-pro",
            "status": 500 if failed else 200, "attempts": 2 if fell else 1, "fallback": fell,
            "streaming": self.count % 2 == 0, "client_aborted": self.count % 17 == 0, "truncated": False,
            "input_tokens": None if failed else took // 3, "output_tokens": None if failed else took // 9,
            "cost": None if failed else f"{took / 3e6:.8f}", "unit": None if failed else "usd",
            "ttft_ms": None if failed else took // 8, "duration_ms": took,
            "org": "acme", "project": ["search", "support"][self.count % 2], "client": None, "tag": tag,
        })
        del self.recent[256:]
        hour = self.hours["mimo" if fell else "deepseek"]
        hour["attempts"][-1] += 1
        hour["requests"][-1] += 1

    def report(self):
        self.asked += 1
        self.request()
        if self.down:
            self.hours["deepseek"]["failures"][-1] = self.hours["deepseek"]["attempts"][-1]
        key = lambda name, state="ready": {"id": name, "state": state, "until": None}
        provider = lambda name, state, keys, **more: {
            "name": name, "state": state, "benched_until": None, "latency_ms": 400, "success_ratio": 0.993,
            "unit": "usd", "keys": keys, "targets": [], "hour": self.hours.get(name)} | more
        later = lambda s: datetime.fromtimestamp(time.time() + s, timezone.utc).isoformat()
        budget = lambda name, limit, spent, projected, scope="project", unit="usd": {
            "scope": scope, "id": name, "unit": unit, "limit": limit, "spent": spent, "reserved": "14.20000000",
            "projected": projected, "window": "month", "starts_at": later(-1e6), "resets_at": later(9e5), "soft": False}
        return {
            "version": "0.1.0", "node": "gw-1", "time": now(), "open_streams": 17,
            "providers": [
                provider("deepseek", "benched" if self.down else "up",
                         [key("env:DEEPSEEK_A"), key("env:DEEPSEEK_B", "benched")],
                         benched_until=later(42) if self.down else None),
                provider("mimo", "up", [key("env:MIMO_KEY")]),
                provider("anthropic", "degraded", [key("file:anthropic.key")],
                         targets=[{"model": "claude-opus-4", "key": None, "until": later(10)}]),
                provider("lab", "drained", [key("file:lab.key", "missing")], latency_ms=None),
            ],
            "flows": [{"from": "deepseek", "to": "mimo", "count": 96 + self.count},
                      {"from": "anthropic", "to": "deepseek", "count": 4}],
            "decisions": [{"decision": "allow", "reason": "none", "count": 6920},
                          {"decision": "deny", "reason": "request_budget_exhausted", "count": 31},
                          {"decision": "would_deny", "reason": "token_budget_exhausted", "count": 12}],
            "limits": [{"rule": "requests 600/1m", "kind": "requests", "limit": 600, "window_seconds": 60, "active": 41, "most_used": 512},
                       {"rule": "tokens 400k/1m", "kind": "tokens", "limit": 400000, "window_seconds": 60, "active": 41, "most_used": 122000},
                       {"rule": "concurrency 20", "kind": "concurrency", "limit": 20, "window_seconds": None, "active": 9, "most_used": 20}],
            "budgets": [budget("acme / search", "1200.00000000", "612.40000000", "1088.20000000"),
                        budget("acme / support", "300.00000000", "251.18000000", "446.70000000"),
                        budget("acme", "90000.00000000", "90000.00000000", "159000.00000000", "organization", "credit")],
            "journal": {"events": 12, "bytes": 48230, "max_bytes": 2 ** 30, "oldest_seconds": 1,
                        "written": 6841, "dropped": 0, "dead_letter": 0},
            "recent": self.recent,
        }


def now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        gateway = self.server.gateway
        if self.path != "/llm-status":
            return self.send(404, "text/plain", b"")
        if "application/json" in self.headers.get("Accept", ""):
            if gateway.broken:
                return self.send(502, "text/html", b"<html>bad gateway</html>")
            return self.send(200, "application/json", json.dumps(gateway.report()).encode())
        self.send(200, "text/html; charset=utf-8", (DIST / "index.html").read_bytes(),
                  (DIST / "policy.txt").read_text())

    def send(self, status, kind, body, policy="default-src 'none'"):
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": len(body), "Cache-Control": "no-store",
                            "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Page:
    def __init__(self, address, downloads, width, height, dark):
        options = webdriver.ChromeOptions()
        for argument in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars",
                         f"--window-size={width},{height}"] + (["--force-dark-mode"] if dark else []):
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"download.default_directory": downloads})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options)
        # Narrower than the smallest window of the browser.
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        media = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        self.driver.get(address)
        self.until(lambda: self.js("return document.body.dataset.ready") == "yes", "the first report")

    def js(self, script):
        return self.driver.execute_script(script)

    def text(self, id):
        return self.js(f"return document.getElementById('{id}').textContent")

    def rows(self):
        return self.js("return document.querySelectorAll('#recent tr').length")

    def until(self, condition, what, seconds=15):
        WebDriverWait(self.driver, seconds, 0.1).until(lambda _: condition(), f"waited for {what}")

    def shoot(self, path):
        height = self.js("return document.documentElement.scrollHeight")
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {
            "captureBeyondViewport": True,
            "clip": {"x": 0, "y": 0, "width": self.js("return innerWidth"), "height": min(height, 3000), "scale": 1}})
        import base64
        Path(path).write_bytes(base64.b64decode(shot["data"]))

    def complaints(self):
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]


def check(condition, what):
    print(("ok - " if condition else "not ok - ") + what)
    if not condition:
        sys.exit(1)


def look(page, gateway, downloads, shots):
    check(page.text("node") == "gw-1" and page.rows() >= 40, "shows the node and its requests")
    check(page.js("return document.querySelectorAll('.chart canvas').length") == 2, "draws both charts")
    check(page.js("return document.querySelectorAll('#providers .strip').length") == 4, "has a strip for each provider")
    check(page.js("return document.images.length") == 0 and page.driver.title != "owned", "reads no tag as markup")
    page.shoot(shots / "status-light.png")

    before = page.text("shown")
    page.until(lambda: page.text("shown") != before, "a new request")
    check(True, "updates without a reload")
    gateway.down = True
    page.until(lambda: "Benched" in page.text("providers"), "the outage")
    check(page.driver.title.startswith("▲") and "deepseek is benched" in page.text("said"), "tells of an outage")
    gateway.down = False
    page.until(lambda: "deepseek is up" in page.text("said"), "the recovery")
    check(True, "tells of the recovery")

    page.driver.find_element(By.TAG_NAME, "body").send_keys("/")
    check(page.js("return document.activeElement.id") == "needle", "goes to the filter with a slash")
    page.driver.find_element(By.ID, "needle").send_keys("nightly")
    check(0 < page.rows() < 30, "filters by tag")
    page.driver.find_element(By.ID, "csv").click()
    file = Path(downloads) / "llm-requests.csv"
    page.until(file.exists, "the file")
    lines = file.read_text().splitlines()
    check(lines[0].startswith("event_id,time,status") and all("nightly" in line for line in lines[1:]), "downloads what is shown")
    file.unlink()
    field = page.driver.find_element(By.ID, "needle")
    field.send_keys(Keys.ESCAPE)
    field.send_keys("onerror")
    page.driver.find_element(By.ID, "csv").click()
    page.until(file.exists, "the second file")
    check("'=1+1" in file.read_text(), "keeps formulas out of spreadsheets")
    field.send_keys(Keys.ESCAPE)

    page.driver.find_element(By.ID, "pause").click()
    asked = gateway.asked
    time.sleep(3)
    check(gateway.asked <= asked + 1 and page.text("live-text") == "Paused", "pauses")
    page.driver.find_element(By.ID, "pause").click()
    page.until(lambda: gateway.asked > asked + 1, "it to go on")
    check(page.complaints() == [], "says nothing in the console")

    gateway.broken = True
    page.until(lambda: page.text("live-text") == "No connection", "the loss", 20)
    check("502" in page.text("alarm"), "tells that its numbers are old")
    gateway.broken = False
    page.until(lambda: page.text("live-text").startswith("Live"), "the connection", 30)
    check(page.js("return document.getElementById('alarm').hidden"), "comes back by itself")
    others = [one for one in page.complaints() if "502" not in one]
    check(others == [], f"has no other complaint {others}")


def main():
    shots = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    shots.mkdir(parents=True, exist_ok=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.gateway = Gateway()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/llm-status"
    with tempfile.TemporaryDirectory() as downloads:
        page = Page(address, downloads, 1440, 1000, False)
        try:
            look(page, server.gateway, downloads, shots)
        finally:
            page.driver.quit()
        for name, width, height in [("dark", 1440, 1000), ("phone", 390, 844)]:
            server.gateway.down = name == "dark"
            page = Page(address, downloads, width, height, True)
            try:
                time.sleep(1)
                wide = page.js("return document.documentElement.scrollWidth")
                check(wide <= width, f"fits {width} pixels ({name}: {wide})")
                page.shoot(shots / f"status-{name}.png")
                check(page.complaints() == [], f"says nothing in the console ({name})")
            finally:
                page.driver.quit()
    print(f"screenshots: {shots}")


if __name__ == "__main__":
    main()
