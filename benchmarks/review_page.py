"""How long a reviewer waits for the next image, from the key to the picture, with thousands of images.

    PYTHONPATH=. python benchmarks/review_page.py [--images 4000] [--keys 100]

A real browser labels simulated images of 480 x 369 pixels as fast as it can; the median and the slowest are printed for
each. 100 ms is what is felt as at once (J. Nielsen, Usability Engineering, 1993, chapter 5).
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from sem_lightning.io.images import encode_image
from sem_lightning.synthesis.simulator import Simulator

_DISTINCT = 200  # images that are rendered; the others are copies, so that judging takes a minute
_WATCH = """() => {
  window.times = [];
  let pressed = 0;
  document.addEventListener("keydown", () => { pressed = performance.now(); }, {capture: true});
  new MutationObserver(() => requestAnimationFrame(() => window.times.push(performance.now() - pressed)))
    .observe(document.getElementById("stage"), {attributeFilter: ["data-image"]});
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--keys", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_images(folder / "images", given.images)
        command = [sys.executable, "-m", "sem_lightning.commands.review", "images=images", "output=answers", "port=0"]
        begun = time.perf_counter()
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as server,
        ):
            try:
                while (found := re.search(r"http://\S+:\d+", (folder / "log").read_text())) is None:
                    assert server.poll() is None, (folder / "log").read_text()
                    time.sleep(0.2)
                print(f"{given.images} images judged and served after {time.perf_counter() - begun:.0f} s")
                milliseconds = press_keys(found[0], given.keys)
                median, slowest = float(np.median(milliseconds)), max(milliseconds)
                print(f"the next image after {median:.0f} ms (median), {slowest:.0f} ms (slowest of {given.keys})")
            finally:
                server.terminate()


def write_images(folder: Path, count: int) -> None:
    folder.mkdir()
    simulator = Simulator.compose("pattern=routing", "imaging.image_size=480")
    files = [encode_image(simulator.sample(number).image[:369], ".png", 1.0) for number in range(min(count, _DISTINCT))]
    for number in range(count):
        (folder / f"{number:05d}.png").write_bytes(files[number % len(files)])


def press_keys(address: str, keys: int) -> list[float]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        page.wait_for_selector("#stage[data-image]")
        page.wait_for_timeout(1000)
        page.evaluate(_WATCH)
        for number in range(keys):
            before = page.get_attribute("#stage", "data-image")
            page.keyboard.press("123"[number % 3])
            page.wait_for_selector(f'#stage:not([data-image="{before}"])')
            page.wait_for_timeout(150)  # nobody answers more than six images a second
        found: list[float] = page.evaluate("() => window.times")
        browser.close()
    return found


if __name__ == "__main__":
    main()
