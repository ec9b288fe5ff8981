"""Real windows with real tabs, which can be behind others, minimised and frozen.

Playwright's own pages always count as visible and focused; those that only the DevTools protocol knows do not.
"""

import json
from typing import Any

from playwright.sync_api import Browser

from tests.browser.driving import LOADS
from tests.utils import wait_until


class Windows:
    """The windows of one profile."""

    def __init__(self, browser: Browser) -> None:
        self._session = browser.new_browser_cdp_session()
        self._session.on("Target.receivedMessageFromTarget", self._on_message)
        self._context = self.send("Target.createBrowserContext")["browserContextId"]
        self._answers: dict[int, dict[str, Any]] = {}
        self._asked = 0

    def send(self, method: str, **parameters: object) -> dict[str, Any]:
        """One command to the browser."""
        return dict(self._session.send(method, parameters))

    def open(self, url: str, *, background: bool = False) -> "Tab":
        """A tab in front of the others, or behind them."""
        target = self.send(
            "Target.createTarget", url="about:blank", browserContextId=self._context, background=background
        )
        tab = Tab(self, target["targetId"])
        tab.call("Page.enable")
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=LOADS)
        tab.call("Page.navigate", url=url)
        return tab

    def ask(self, session: str, method: str, parameters: dict[str, object]) -> dict[str, Any]:
        """One command to a tab, and its answer."""
        self._asked += 1
        number = self._asked
        message = json.dumps({"id": number, "method": method, "params": parameters})
        self.send("Target.sendMessageToTarget", sessionId=session, message=message)

        def answered() -> bool:
            self.send("Browser.getVersion")  # lets Playwright take in what has come
            return number in self._answers

        wait_until(answered, f"an answer to {method}")
        return self._answers.pop(number)

    def _on_message(self, event: dict[str, Any]) -> None:
        message = json.loads(event["message"])
        if "id" in message:
            self._answers[message["id"]] = message

    def close(self) -> None:
        """Close them all."""
        self.send("Target.disposeBrowserContext", browserContextId=self._context)
        self._session.detach()


class Tab:
    """One tab, attached to."""

    def __init__(self, windows: Windows, target: str) -> None:
        self._windows, self._target = windows, target
        self._session = windows.send("Target.attachToTarget", targetId=target, flatten=False)["sessionId"]

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """One command; an error is part of the answer."""
        return self._windows.ask(self._session, method, parameters)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page; None where there is no page just then."""
        return self.call("Runtime.evaluate", expression=expression).get("result", {}).get("result", {}).get("value")

    def activate(self) -> None:
        """Bring it to the front of its window."""
        self._windows.send("Target.activateTarget", targetId=self._target)

    def window(self, state: str) -> None:
        """Put its window into this state: normal, minimized."""
        window = self._windows.send("Browser.getWindowForTarget", targetId=self._target)["windowId"]
        self._windows.send("Browser.setWindowBounds", windowId=window, bounds={"windowState": state})

    def freeze(self) -> None:
        """What browsers do to tabs that are hidden for long."""
        self.call("Page.setWebLifecycleState", state="frozen")

    def thaw(self) -> None:
        """Let it run again."""
        self.call("Page.setWebLifecycleState", state="active")

    @property
    def loads(self) -> int:
        """How many pages it has loaded."""
        return int(self.evaluate("Number(window.name)"))

    def visible(self, expected: str) -> None:
        """Wait until the browser says so: visible, hidden."""
        wait_until(lambda: self.evaluate("document.visibilityState") == expected, f"a page that is {expected}")

    def state(self, expected: str) -> None:
        """Wait until the page says that it is in this state."""
        attribute = "document.documentElement?.getAttribute('data-fastapi-hmr')"
        wait_until(lambda: self.evaluate(attribute) == expected, f"the state {expected!r}")

    def shows(self, target: str) -> None:
        """Wait until the page is the one with this id, and knows it."""
        script = f'html[data-fastapi-hmr=ready] script[src*=__fastapi_hmr__][data-id="{target}"]'
        wait_until(lambda: self.evaluate(f"!!document.querySelector('{script}')"), f"the page {target}")
