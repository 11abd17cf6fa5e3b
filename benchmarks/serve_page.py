"""The page of sem-serve in a real browser, with the answers to some files, as docs/images/serve.jpg shows it.

PYTHONPATH=tests/serving python benchmarks/serve_page.py ../shared/real_sem/*.tif [--output docs/images/serve.jpg]

It prints what the page says of each file. The browser is the chromium of the system, if there is one.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from service import service

WIDTH, HEIGHT, QUALITY = 1120, 800, 60
PATIENT = "limits.seconds=60"  # on a busy machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, default=Path("docs/images/serve.jpg"))
    arguments = parser.parse_args()
    files = [path.resolve() for path in arguments.files]
    with (
        tempfile.TemporaryDirectory() as folder,
        service(Path(folder), PATIENT) as started,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"http://127.0.0.1:{started.port}/")
        page.set_input_files("[name=image]", [str(path) for path in files])
        page.click("button")
        page.locator("figure").nth(len(files) - 1).wait_for(timeout=60_000)
        print(*page.locator("figcaption").all_inner_texts(), *faults, sep="\n")
        page.screenshot(path=arguments.output, full_page=True, type="jpeg", quality=QUALITY)
        browser.close()


if __name__ == "__main__":
    main()
