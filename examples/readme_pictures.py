"""Make the pictures of the README, from the simulated workbook; run after a change of the plots.

That of the page is taken by Chromium, through selenium; both come with what the tests need.
"""

import base64
import io
import shutil
import sys
import tempfile
from pathlib import Path

import common

import hbm


def save(ax, folder: Path, name: str) -> None:
    """Save a picture at the width it is seen at, without white around it."""
    folder.mkdir(parents=True, exist_ok=True)
    ax.figure.savefig(folder / f"{name}.png", dpi=100, pil_kwargs={"optimize": True})


def screenshot(page: Path, school: str, file: Path) -> None:
    """Save how a page looks, from the search to the section of a school."""
    from PIL import Image
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    # Those of this machine: without a path selenium asks the network for them.
    options.binary_location = shutil.which("chromium")
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=service)
    try:
        size = {"width": 800, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        browser.get(f"{page.as_uri()}#school={school}")
        top, bottom = browser.execute_script(
            "const at = (x) => document.querySelector(x).getBoundingClientRect();"
            "return [at('#find-title').top + scrollY, at('.member:target').bottom + scrollY]"
        )
        clip = {"x": 0, "y": top - 16, "width": 800, "height": bottom - top + 32, "scale": 1}
        settings = {"clip": clip, "captureBeyondViewport": True}
        taken = browser.execute_cdp_cmd("Page.captureScreenshot", settings)["data"]
    finally:
        browser.quit()
    picture = Image.open(io.BytesIO(base64.b64decode(taken))).convert("RGB")
    picture.quantize(64, dither=Image.Dither.NONE).save(file, optimize=True)


def main(argv=None):
    parser = common.parser("Make the pictures of the README.", "readme")
    # Without draws to tune, independent ones are taken.
    parser.set_defaults(seed=1, tune=None, out=Path(__file__).resolve().parent / "pictures")
    options = parser.parse_args(argv)
    results = hbm.load_dataset("diploma")
    table = hbm.exam_table(results, course="Mathematics 30-1", year=2016)
    model = hbm.exams.nested(table)
    fit = hbm.sample(model, **common.sampling(options))
    print(hbm.diagnose(fit))
    schools = hbm.shrinkage(fit, "school")
    pictures = {
        "shrinkage": hbm.plot_shrinkage(schools),
        "funnel": hbm.plot_funnel(schools, hbm.funnel_limits(fit, "school")),
        "ranks": hbm.plot_ranks(hbm.ranks(fit, "school")),
    }
    for name, ax in pictures.items():
        save(ax, options.out, name)
    with tempfile.TemporaryDirectory() as folder:
        page = hbm.report(model, fit, Path(folder, "page.html"), names=table, random_seed=1)
        small = schools.loc[schools["n_students"] == 9, "school"].iloc[0]
        screenshot(page, small, options.out / "page.png")
    common.say(options, f"Pictures are in {options.out}.")


if __name__ == "__main__":
    sys.exit(main())
