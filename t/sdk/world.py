"""What do the SDK tests run against? A mock-provider and an nginx with our module, on free ports.

conftest.py starts both once for all tests. TEST_LLM_NGINX, TEST_LLM_MODULE and TEST_LLM_MOCK say
which programs to run; scripts/sdk sets them.
"""

import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
# Generous, because a machine that builds something else at the same time is slow.
LIMIT_S = 20.0


def environment(name):
    """A variable that scripts/sdk sets."""
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(f"{name} is not set; run scripts/sdk")
    return value


def wait_until(what, condition):
    """Returns the condition's first true answer."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"waited {LIMIT_S:.0f} s for {what}")


def free_ports(count):
    """Ports that nobody listens on; all are held until all are known."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Mock:
    """The providers: one listener per name."""

    def __init__(self, *names):
        self.names = names
        self.process = subprocess.Popen(
            [environment("TEST_LLM_MOCK"), "--until-eof", "--control", "127.0.0.1:0", *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addresses = {}
        self.control = None
        for line in self.process.stdout:
            said = json.loads(line)
            if said.get("ready"):
                break
            if "control" in said:
                self.control = said["control"]
            else:
                self.addresses[said["name"]] = said["address"]
        else:
            raise RuntimeError("mock-provider did not start")

    def _ask(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://{self.control}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
            return answer.read()

    def script(self, name, *answers):
        """The next answers of a provider."""
        self._ask("POST", f"/{name}/script", list(answers))

    def requests(self, name):
        """What a provider was sent, oldest first."""
        return json.loads(self._ask("GET", f"/{name}/requests"))

    def body(self, name):
        """The JSON body of the only request that a provider was sent."""
        (request,) = self.requests(name)
        return json.loads(request["body"])

    def script_left(self, name):
        return json.loads(self._ask("GET", f"/{name}/state"))["script_left"]

    def forget(self):
        self._ask("DELETE", "/")

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=LIMIT_S)


class Gateway:
    """nginx with the module and gateway.conf."""

    def __init__(self, folder, mock):
        self.folder = folder
        self.port, self.impatient_port, nobody = free_ports(3)
        words = {
            # Workers of an nginx started by root would not reach the temporary folder.
            "USER": "user root;" if os.geteuid() == 0 else "",
            "DIR": folder,
            "MODULE": environment("TEST_LLM_MODULE"),
            "OPENAI": mock.addresses["openai"],
            "ANTHROPIC": mock.addresses["anthropic"],
            "NOBODY": f"127.0.0.1:{nobody}",
            "PORT": self.port,
            "IMPATIENT_PORT": self.impatient_port,
        }
        text = (HERE / "gateway.conf").read_text()
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        conf = folder / "nginx.conf"
        conf.write_text(text)
        self.process = subprocess.Popen(
            [environment("TEST_LLM_NGINX"), "-p", f"{folder}/", "-c", conf, "-e", self.error_log],
            stdin=subprocess.DEVNULL,
        )
        wait_until("nginx", lambda: self.process.poll() is not None or accepts(self.port))
        if self.process.poll() is not None:
            raise RuntimeError(f"nginx did not start:\n{self.error_log.read_text()}")

    @property
    def error_log(self):
        return self.folder / "error.log"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def impatient_url(self):
        return f"http://127.0.0.1:{self.impatient_port}"

    def logged(self, event_id):
        """The access log's line about one request; it is written when the request has ended."""

        def find():
            # The last line may still be growing.
            lines = (self.folder / "access.log").read_text().split("\n")[:-1]
            for entry in map(json.loads, lines):
                if entry["event_id"] == event_id:
                    return entry
            return None

        return wait_until(f"the log line of {event_id}", find)

    def complaints(self):
        """Lines of the error log that must never occur."""
        bad = ("[alert]", "[emerg]", "[crit]", "AddressSanitizer", "panicked", "exited on signal")
        lines = self.error_log.read_text().splitlines()
        return [line for line in lines if any(word in line for word in bad)]

    def holds(self, secret):
        """Whether a secret stands in a log."""
        return any(secret in log.read_text() for log in self.folder.glob("*.log"))

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=LIMIT_S)
