#!/usr/bin/python3
"""Does the page of llm_status show in a real browser what a real gateway does?

    status_page.py check ADDRESS CONTROL FOLDER
    status_page.py shoot ADDRESS CONTROL FOLDER CLOCK

ADDRESS is the gateway's, CONTROL that of the fake providers "openai", "deepseek" and "anthropic" behind
it (t/status_page.t starts them). "check" looks at the page while requests run, fail and recover. "shoot"
puts an hour of requests behind the gateway, whose clock it sets by way of the file CLOCK, and writes
status-light.png and status-dark.png into FOLDER.
"""

import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# The folder of sources stays as it is.
sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src/status-page/test"))

from page import Page, check  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

MODELS = {"deepseek": ["deepseek-v4-pro", "deepseek-v4-flash"], "openai": ["gpt-5-mini"],
          "anthropic": ["claude-opus-4"]}
EVIL = '=1+1<img src=x onerror="document.title=1">'


class Providers:
    """The fake providers behind the gateway."""

    def __init__(self, control):
        self.control = control

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.control}/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    def script(self, name, *answers):
        """From now on the provider answers so, and when these are used up, as it does by itself."""
        self.call("DELETE", name)
        if answers:
            self.call("POST", f"{name}/script", list(answers))

    def fails(self, name):
        self.script(name, {"status": 503, "json": {"error": {"message": "down"}}, "times": "always"})

    def works(self, name):
        self.script(name)


class Clients:
    """Who uses the gateway."""

    def __init__(self, address):
        self.address = address
        self.random = random.Random(5)
        self.sent = 0

    def ask(self, provider, model=None, project="search", tag=None, stream=True):
        self.sent += 1
        body = {"model": model or MODELS[provider][0], "max_tokens": 400, "stream": stream,
                "messages": [{"role": "user", "content": "hello"}]}
        path = "v1/messages" if provider == "anthropic" else "v1/chat/completions"
        headers = {"Content-Type": "application/json", "X-Project": project} | ({"X-LLM-Tag": tag} if tag else {})
        request = urllib.request.Request(f"http://{self.address}/{path}", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                answer.read()
                return answer.status
        except urllib.error.HTTPError as error:
            error.read()
            return error.code

    def any(self):
        """One of the many."""
        pick = self.random
        provider = pick.choices(["deepseek", "openai", "anthropic"], [6, 3, 2])[0]
        return dict(provider=provider, model=pick.choice(MODELS[provider]), stream=pick.random() < 0.8,
                    project=pick.choice(["search", "search", "support", "research"]),
                    tag=pick.choice([None, None, "nightly", "eval-7"]))


class Load:
    """Requests all the time, until its block ends."""

    def __init__(self, clients):
        self.clients, self.over = clients, threading.Event()

    def run(self):
        while not self.over.wait(0.1):
            self.clients.ask(**self.clients.any())

    def __enter__(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def report(address):
    request = urllib.request.Request(f"http://{address}/llm-status", headers={"Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def figure(page, name):
    return page.js("return [...document.querySelectorAll('#figures div')].filter(one => "
                   f"one.querySelector('dt').textContent === '{name}').map(one => one.querySelector('dd').textContent)[0]")


def state(page, provider):
    return page.js("return [...document.querySelectorAll('#providers tr')].filter(row => "
                   f"row.querySelector('.name').textContent === '{provider}').map(row => row.querySelector('.badge').textContent)[0]")


def check_idle(page):
    check(page.rows() == 0 and "No request yet" in page.text("no-recent"), "says that there is no request yet")
    names = page.js("return [...document.querySelectorAll('#providers .name')].map(one => one.textContent)")
    check(sorted(names) == ["anthropic", "deepseek", "openai"], "has every provider")
    keys = page.js("return [...document.querySelectorAll('#providers .chip')].map(one => one.textContent)")
    check("openai-main" in keys, "shows keys by their ids")
    check(page.complaints() == [], "says nothing in the console while nothing happens")


def check_load(page, clients, address):
    with Load(clients):
        page.until(lambda: page.rows() >= 5, "requests")
        before = page.text("shown")
        page.until(lambda: page.text("shown") != before, "more requests")
    check(True, "updates under load, without a reload")
    page.until(lambda: page.rows() == len(report(address)["recent"]), "the last of them")
    check(page.js("return document.querySelectorAll('.chart canvas').length") == 2, "draws both charts")
    check("deepseek" in page.text("traffic-legend"), "tells whose line is whose")
    check(page.js("return document.querySelectorAll('#providers .strip').length") == 3, "has a strip for each provider")
    check(figure(page, "Providers up") == "3 / 3", "counts the providers that are up")
    check("search" in page.text("budgets") and "of 1.00 usd" in page.text("budgets"), "shows the budgets")
    check("allow" in page.text("decisions"), "shows what the limits decided")
    check("Written" in page.text("journal"), "shows the journal")
    text = page.js("return document.querySelector('main').textContent")
    check(not re.search(r"\b(null|undefined|NaN|Infinity)\b", text), "has a word for everything")


def check_outage(page, clients, providers, folder):
    providers.fails("deepseek")
    for model in MODELS["deepseek"]:
        for _ in range(2):
            status = clients.ask("deepseek", model)
            check(status == 200, "a client gets an answer in an outage")
    page.until(lambda: "Benched" in state(page, "deepseek"), "the outage")
    check("deepseek is benched" in page.text("said"), "tells those who hear of the outage")
    check(page.driver.title.startswith("▲"), "tells it in the title")
    check(figure(page, "Providers up").startswith("2 / 3"), "counts one less")
    flows = page.text("flows")
    check("deepseek" in flows and "openai" in flows, "shows where requests moved")
    chips = page.js("return [...document.querySelectorAll('#recent tr')].map(row => row.querySelectorAll('.chip').length)")
    check(max(chips) >= 2, "shows the chain of a request that fell back")
    # What a failed check leaves behind.
    page.shoot(Path(folder) / "outage.png")
    providers.works("deepseek")

    def recovered():
        for model in MODELS["deepseek"]:
            clients.ask("deepseek", model)
        return "Up" in state(page, "deepseek")

    page.until(recovered, "the recovery", 30)
    check("deepseek is up" in page.text("said"), "tells those who hear of the recovery")
    check(not page.driver.title.startswith("▲"), "and in the title")


def check_hands(page, clients, downloads):
    clients.ask("openai", tag=EVIL)
    clients.ask("openai", model="no-such-model")
    page.until(lambda: "no-such-model" in page.text("recent"), "the last request")
    check(page.js("return document.images.length") == 0, "reads nothing of a client as markup")
    page.driver.find_element(By.TAG_NAME, "body").send_keys("/")
    check(page.js("return document.activeElement.id") == "needle", "goes to the filter with a slash")
    page.driver.find_element(By.ID, "needle").send_keys("no-such-model")
    check(page.rows() == 1, "filters")
    page.driver.find_element(By.ID, "needle").send_keys(Keys.ESCAPE)
    check(page.rows() > 1, "and shows all again")
    page.driver.find_element(By.ID, "csv").click()
    file = Path(downloads) / "llm-requests.csv"
    page.until(file.exists, "the file")
    lines = file.read_text().splitlines()
    check(len(lines) == page.rows() + 1 and lines[0].startswith("event_id,time,status"), "downloads what is shown")
    check(page.complaints() == [], "says nothing in the console")


def check_shapes(address):
    for name, width, height, dark in [("wide and dark", 1440, 1000, True), ("a phone", 390, 844, False),
                                      ("a phone and dark", 390, 844, True)]:
        page = Page(f"http://{address}/llm-status", tempfile.gettempdir(), width, height, dark)
        try:
            wide = page.js("return document.documentElement.scrollWidth")
            check(wide <= width, f"fits {width} pixels ({name}: {wide})")
            shade = page.js("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3)"
                            ".reduce((sum, part) => sum + Number(part), 0) / 3")
            check((shade < 100) == dark, f"has the colours that are wished ({name})")
            check(page.rows() > 0 and page.complaints() == [], f"says nothing in the console ({name})")
        finally:
            page.driver.quit()


def look(address, control, folder):
    providers, clients = Providers(control), Clients(address)
    with tempfile.TemporaryDirectory() as downloads:
        page = Page(f"http://{address}/llm-status", downloads, 1440, 1000, False)
        try:
            check_idle(page)
            check_load(page, clients, address)
            check_outage(page, clients, providers, folder)
            check_hands(page, clients, downloads)
        finally:
            page.driver.quit()
    check_shapes(address)


class Hour:
    """An hour of requests in a minute: the gateway's clock is set forth from one to the next."""

    MINUTES = 60

    def __init__(self, address, control, clock):
        self.providers, self.clients, self.clock = Providers(control), Clients(address), Path(clock)
        self.random = random.Random(11)

    def answer(self, provider):
        words, first = self.random.randint(6, 40), self.random.gauss({"deepseek": 210, "openai": 330}.get(provider, 260), 40)
        if provider == "anthropic":
            return {"words": words, "first_ms": max(60, int(first)), "pace_ms": 4}
        event = lambda text: json.dumps({"id": "1", "object": "chat.completion.chunk", "choices": [
            {"index": 0, "delta": {"content": text}, "finish_reason": None}]})
        used = {"prompt_tokens": self.random.randint(300, 4000), "completion_tokens": words * 9}
        used |= {"total_tokens": sum(used.values()), "prompt_tokens_details": {"cached_tokens": used["prompt_tokens"] // 3}}
        end = [json.dumps({"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
               json.dumps({"id": "1", "object": "chat.completion.chunk", "choices": [], "usage": used}), "[DONE]"]
        return {"sse": [event("word ")] * words + end, "first_ms": max(60, int(first)), "pace_ms": 4}

    def minute(self, number, down):
        for provider in MODELS:
            answers = [self.answer(provider) for _ in range(40)]
            if provider == "deepseek" and self.random.random() < 0.3:
                answers.insert(2, {"status": 429, "json": {"error": {"message": "slow down"}}, "times": self.random.randint(1, 2)})
            self.providers.script(provider, *answers)
        if down:
            self.providers.fails("deepseek")
        wave = 14 + int(8 * number / self.MINUTES) + self.random.randint(-3, 4)
        asked = [self.clients.any() | {"stream": True} for _ in range(wave)]
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda one: self.clients.ask(**one), asked))

    def run(self):
        began = time.time()
        for number in range(self.MINUTES):
            self.set(began - 60 * (self.MINUTES - 1 - number))
            self.minute(number, 24 <= number <= 28)
        self.minute(self.MINUTES, False)

    def knock(self):
        """A few requests for the provider that is down."""
        for model in MODELS["deepseek"]:
            self.clients.ask("deepseek", model)
        time.sleep(0.4)

    def set(self, moment):
        offset = int(moment - time.time())
        self.clock.write_text(f"{min(0, offset):+d}\n")
        # The gateway looks at its clock when something happens.
        time.sleep(0.05)


def shoot(address, control, folder, clock):
    hour = Hour(address, control, clock)
    hour.run()
    for name, dark in [("light", False), ("dark", True)]:
        page = Page(f"http://{address}/llm-status", tempfile.gettempdir(), 1280, 900, dark)
        try:
            if dark:
                # The other one shows the gateway in the middle of an outage.
                hour.providers.fails("deepseek")
                page.until(lambda: hour.knock() or re.search("for [1-9]", state(page, "deepseek")), "the outage", 60)
            time.sleep(0.2)
            page.js("[...document.querySelectorAll('#recent tr')].slice(12).forEach(row => row.style.display = 'none')")
            file = Path(folder) / f"status-{name}.png"
            page.shoot(file)
        finally:
            page.driver.quit()
        squeeze(file)
        check(file.stat().st_size < 300_000, f"{file.name} has {file.stat().st_size} bytes")


def squeeze(file):
    if shutil.which("pngquant"):
        subprocess.run(["pngquant", "--force", "--skip-if-larger", "--output", file, "128", file], check=False)
    if shutil.which("optipng"):
        subprocess.run(["optipng", "-quiet", "-o4", file], check=True)


def main():
    what, address, control, folder, *clock = sys.argv[1:]
    if what == "check":
        look(address, control, folder)
    else:
        shoot(address, control, folder, *clock)


if __name__ == "__main__":
    main()
