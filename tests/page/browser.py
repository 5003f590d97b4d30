"""A real Chromium, driven by its own driver: WebDriver is JSON over HTTP, and the standard library speaks that."""

import base64
import json
import subprocess
import time
import urllib.request

KEYS = {"tab": "\ue004", "enter": "\ue007", "escape": "\ue00c", "space": " "}
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
DEADLINE_S = 60


class Browser:
    """Open from `with` to its end."""

    def __init__(self, width=1280, height=1000):
        self.size = f"--window-size={width},{height}"

    def __enter__(self):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        for line in self.driver.stdout:
            if "successfully on port" in line:
                self.url = f"http://127.0.0.1:{line.rsplit(' ', 1)[1].strip().rstrip('.')}"
                break
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", self.size]
        wish = {"browserName": "chrome", "goog:chromeOptions": {"args": flags}, "goog:loggingPrefs": {"browser": "ALL"}}
        self.url += f"/session/{self._ask('/session', {'capabilities': {'alwaysMatch': wish}})['sessionId']}"
        return self

    def __exit__(self, *_):
        try:
            urllib.request.urlopen(urllib.request.Request(self.url, method="DELETE"), timeout=10).close()
        finally:
            self.driver.terminate()
            self.driver.wait()

    def _ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {json.load(error)['value']['message']}") from None

    def visit(self, url):
        self._ask("/url", {"url": url})

    def js(self, script, *arguments):
        """What a function body returns; a promise is awaited."""
        return self._ask("/execute/sync", {"script": script, "args": arguments})

    def find(self, css):
        return self._ask("/element", {"using": "css selector", "value": css})[ELEMENT]

    def click(self, css):
        self._ask(f"/element/{self.find(css)}/click", {})

    def type(self, css, text):
        self._ask(f"/element/{self.find(css)}/value", {"text": text})

    def press(self, key, shift=False):
        """On whatever has the focus."""
        pressed = [{"type": kind, "value": KEYS[key]} for kind in ("keyDown", "keyUp")]
        held = [{"type": kind, "value": "\ue008"} for kind in ("keyDown", "keyUp")]
        actions = [held[0], *pressed, held[1]] if shift else pressed
        self._ask("/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def role_and_name(self, element):
        """As a screen reader is told."""
        return tuple(self._ask(f"/element/{element}/computed{what}") for what in ("role", "label"))

    def all(self, css):
        return [e[ELEMENT] for e in self._ask("/elements", {"using": "css selector", "value": css})]

    def until(self, what, script, *arguments):
        """Waits until a script's answer is true, and gives it."""
        end = time.monotonic() + DEADLINE_S
        while not (value := self.js(f"return {script}", *arguments)):
            if time.monotonic() > end:
                raise TimeoutError(f"has not come: {what}")
            time.sleep(0.1)
        return value

    def devtools(self, command, **parameters):
        return self._ask("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def complaints(self):
        """What the console has said since the last question, of what a page should not do."""
        return [entry["message"] for entry in self._ask("/se/log", {"type": "browser"}) if entry["level"] == "SEVERE"]

    def screenshot(self, path, height, scale):
        """Of the page from its top."""
        clip = {"x": 0, "y": 0, "width": self.js("return innerWidth"), "height": height, "scale": scale}
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))
