"""A form with a file, as a browser sends it, and a bucket that is served for real."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stacks import eventually

BOUNDARY = "----form-7a1c"
RCLONE = shutil.which("rclone") or str(Path(sys.executable).with_name("rclone"))
KEYS = {"MEDIA_ACCESS_KEY": "ann", "MEDIA_SECRET_KEY": "secret-3f1c", "MEDIA_REGION": "eu"}


def multipart(file: str, content: str, **fields: str) -> tuple[str, str]:
    """The content type and the body of a form whose field `attachment` is a file of this name."""
    parts = [
        *(f'name="{name}"\r\n\r\n{text}' for name, text in fields.items()),
        f'name="attachment"; filename="{file}"\r\nContent-Type: text/plain\r\n\r\n{content}',
    ]
    lines = "".join(f"--{BOUNDARY}\r\nContent-Disposition: form-data; {part}\r\n" for part in parts)
    return f"multipart/form-data; boundary={BOUNDARY}", f"{lines}--{BOUNDARY}--\r\n"


@contextmanager
def served_bucket(folder: Path, address: str) -> Iterator[dict[str, str]]:
    """The keys of `.env` for the bucket `shop`, which a server at HOST:PORT has meanwhile."""
    (folder / "shop").mkdir()
    login = f"{KEYS['MEDIA_ACCESS_KEY']},{KEYS['MEDIA_SECRET_KEY']}"
    argv = [RCLONE, "serve", "s3", "--addr", address, "--auth-key", login, str(folder)]
    environ = {**os.environ, "RCLONE_CONFIG": "/dev/null"}
    server = subprocess.Popen(argv, env=environ, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr
        eventually(lambda: server.poll() is None and time.sleep(0.5) is None, 5, "it runs")
        yield {**KEYS, "MEDIA": "s3://shop", "MEDIA_ENDPOINT": f"http://{address}"}
    finally:
        server.kill()
        server.wait()
