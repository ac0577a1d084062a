"""Says how it went: HEARTBEAT_URL is asked after each success, NOTIFY_URL gets each failure."""

import json
import urllib.request
from urllib.error import HTTPError

from djup.keeper.config import Config

SECONDS = 15


def success(config: Config) -> None:
    """Ask HEARTBEAT_URL: whoever is behind it raises the alarm when this does not come."""
    if url := config["HEARTBEAT_URL"]:
        _call(url, None)


def failure(config: Config, sentence: str) -> bool:
    """Send a sentence to NOTIFY_URL, as Slack, Mattermost and Discord take it; whether it arrived,
    or there is nobody to tell."""
    url = config["NOTIFY_URL"]
    return not url or _call(url, {"text": sentence, "content": sentence})


def _call(url: str, record: dict[str, str] | None) -> bool:
    """Ask a URL, and give whether it took it; one that does not is named by its host, since the
    path may be a secret."""
    data = json.dumps(record).encode() if record else None
    heads = {"Content-Type": "application/json", "User-Agent": "djup keeper"}
    request = urllib.request.Request(url, data, heads)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):
            return True
    except HTTPError as error:
        print(f"{request.host} refused to be told: {error.code}", flush=True)
    except OSError as error:
        print(f"{request.host} could not be told: {error}", flush=True)
    return False
