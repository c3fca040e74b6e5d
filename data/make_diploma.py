"""Make the simulated diploma workbook and the table of its true values.

    python data/make_diploma.py

Every school, authority, code and mark is invented. What follows the real workbook of 2015–2019 is
its layout and, roughly, its distributions: kinds of authority, schools per authority, students per
school, how much schools and authorities differ and how lasting that is, and how much students
differ within a school. The story, on the logit scale:

* a school's mean in a course and year is the province's, plus its kind's and its authority's
  effect, plus its own, which drifts slowly, plus a slope in the log of its size;
* authorities' and schools' effects are correlated between courses (0.75);
* log nu, the "sample size" of the school's Beta in a course, is Normal and lasting, with a slope in
  the log of its size;
* the n students who write in a year are a cohort: they share classes and teachers, and have a mean
  of their own, Beta around the school's with sample size n (nu + 1) / (design effect − 1);
* they draw exam marks from Beta(m·nu, (1−m)·nu), m the cohort's mean, rounded to whole percentages;
* school-awarded marks come from another such Beta, whose mean follows the cohort's, from above.

A year with fewer than six students is suppressed. 2012–2014 are simulated too, for the comparisons
with the previous three years, and not published.
"""

import hashlib
import io
import re
import zipfile
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import openpyxl
import pandas as pd
from scipy.special import expit, logit, ndtri

FOLDER = Path(__file__).resolve().parent
WORKBOOK = FOLDER / "simulated-diploma.xlsx"
TRUTH = FOLDER / "simulated-diploma-truth.csv"
SHEET = "Diploma Examination Results"

SEED = 20152019
YEARS = range(2012, 2020)
PUBLISHED = range(2015, 2020)
SUPPRESSED_BELOW = 6
CORRELATION = 0.75  # of effects between courses
NU_SLOPE = -0.07  # of log nu by log students: students of large schools differ more
PERSISTENCE = 0.97  # correlation of a school's own effect with that of the year before


class Course(NamedTuple):
    name: str
    share: float  # of a school's students who take it
    mean: float  # of a school of 30 students, a proportion
    size_slope: float  # logits per log student
    authority_sd: float  # this and the next in logits
    school_sd: float
    nu: float
    design_effect: float  # variance of a cohort's mean mark, next to that of independent students
    awarded_nu: float  # of the school-awarded marks
    awarded_lift: float  # of the school-awarded mean, in logits


COURSES = [
    Course("Biology 30", 0.75, 0.655, 0.10, 0.10, 0.27, 7.7, 1.73, 9.8, 0.45),
    Course("English Lang Arts 30-1", 0.97, 0.632, 0.04, 0.06, 0.19, 16.0, 1.18, 16.6, 0.50),
    Course("Mathematics 30-1", 0.68, 0.600, 0.10, 0.16, 0.30, 4.8, 1.66, 8.6, 0.75),
    Course("Social Studies 30-1", 0.72, 0.630, 0.06, 0.08, 0.22, 13.3, 1.35, 16.5, 0.58),
]


class Kind(NamedTuple):
    name: str
    authorities: int
    log_schools: float  # mean and sd of the log of an authority's number of schools
    log_schools_sd: float
    log_size: float  # mean and sd of the log of a school's students in a year
    log_size_sd: float
    effect: float  # logits, next to Public
    spread: float  # factor on the authorities' and schools' sd
    authority_name: str
    school_names: list[str]


SCHOOLS = ["{} High School", "{} School", "{} Composite High School", "{} Community School"]
KINDS = [
    Kind("Public", 41, 1.74, 0.75, 2.8, 1.45, 0.0, 1.0, "The {} School Division", SCHOOLS),
    Kind("Separate", 17, 1.25, 0.75, 3.3, 1.40, 0.0, 0.9, "The {} Separate Division", SCHOOLS),
    Kind("Private", 46, 0.0, 0.30, 2.2, 1.0, 0.3, 1.7, "{} School Society", ["{} Academy"]),
    Kind("Francophone", 4, 1.2, 0.50, 2.2, 0.9, -0.1, 0.9, "The {} Francophone Area", ["École {}"]),
    Kind("Charter", 3, 0.0, 0.10, 4.3, 0.5, 0.6, 0.8, "{} Charter Society", ["{} Charter School"]),
    Kind("Provincial", 1, 0.7, 0.10, 3.0, 0.8, -0.3, 0.5, "{} Provincial", ["{} Centre"]),
]  # fmt: skip

# Places are a stem and an ending.
STEMS = ["Amber", "Bramble", "Cinder", "Dapple", "Ember", "Fable", "Gossamer", "Hollow", "Inkle",
         "Juniper", "Kindle", "Lantern", "Marrow", "Nettle", "Ochre", "Pumice", "Quill", "Russet",
         "Saffron", "Tansy", "Umber", "Velvet", "Wicker", "Yarrow", "Zephyr"]  # fmt: skip
ENDINGS = ["mere", "fell", "wick", "combe", "holm", "garth", "stead", "moor", "wold", "haven",
           "thorpe", "hythe", "barrow", "lea", "march", "ness", "tarn", "den", "croft",
           "burn", "shaw", "beck", "loft", "spire"]  # fmt: skip

MEASURES = [
    "Students Writing",
    "School Mark % Exc",
    "School Mark % Acc",
    "School Average %",
    "School Standard Deviation %",
    "Exam Mark % Exc",
    "Exam Mark Exc Sig",
    "Exam Mark % Acc",
    "Exam Mark Acc Sig",
    "Exam Average %",
    "Exam Standard Deviation %",
]
HEADER = [
    "Diploma Course",
    "Authority Type",
    "Authority Code",
    "Authority Name",
    "School Code",
    "School Name",
    *(f"{year} Sch {measure}" for year in PUBLISHED for measure in MEASURES),
]
FOOTNOTE = """1. SIMULATED DATA. Every authority, school, code and mark in this workbook is \
invented.

2. n/a: fewer than six students wrote, or none, or no comparison could be made.

3. +,=,- The share of students at the standard is above (+), not different from (=) or below (-) \
that of the previous three years, at the 5% level.
"""


def draw_schools(rng):
    """Return one row per school, sorted by code: its authority, its size and their effects."""
    places = [stem + ending for stem in STEMS for ending in ENDINGS]
    rng.shuffle(places)
    # Authorities' codes are one more than a multiple of three, schools' two more.
    codes = [
        [f"{3 * code + k:04d}" for code in rng.choice(np.arange(3, 3330), 1000, replace=False)]
        for k in (1, 2)
    ]
    rows = []
    for kind in KINDS:
        for k in range(kind.authorities):
            home = places.pop()
            code = codes[0].pop()
            # Some names of the real workbook end in a blank.
            name = kind.authority_name.format(home) + " " * (k % 8 == 7)
            z = ndtri((k + 0.5) / kind.authorities)
            n_schools = max(1, round(np.exp(kind.log_schools + kind.log_schools_sd * z)))
            big = 1.4 * (n_schools >= 12)  # cities have many schools and large ones
            authority = draw_effects(rng, kind.spread)
            for place in [home, *(places.pop() for _ in range(n_schools - 1))]:
                rows.append(
                    {
                        "kind": kind,
                        "authority": code,
                        "authority_name": name,
                        "school": codes[1].pop(),
                        "school_name": rng.choice(kind.school_names).format(place),
                        "size": min(np.exp(rng.normal(kind.log_size + big, kind.log_size_sd)), 800),
                        "authority_effect": authority,
                        "school_effect": draw_effects(rng, kind.spread),
                    }
                )
    # As in the real workbook, names do not identify a school.
    for this, other in ((4, 61), (19, 59)):
        rows[this]["school_name"] = rows[other]["school_name"]
    return sorted(rows, key=lambda row: (row["authority"], row["school"]))


def draw_effects(rng, spread):
    """Return an effect for each course, of sd `spread`, correlated between courses."""
    common, own = rng.normal(), rng.normal(size=len(COURSES))
    return spread * (np.sqrt(CORRELATION) * common + np.sqrt(1 - CORRELATION) * own)


def draw_drift(rng, effect, spread):
    """Return the effects of each year and course: `effect`, and what it drifts to."""
    effects = [effect]
    for _ in YEARS[1:]:
        new = draw_effects(rng, spread)
        effects.append(PERSISTENCE * effects[-1] + np.sqrt(1 - PERSISTENCE**2) * new)
    return np.array(effects)


def summarise(marks):
    """Return percentages excellent and acceptable, mean and sd, of marks in whole percent."""
    return [
        100 * np.mean(marks >= 80),
        100 * np.mean(marks >= 50),
        np.mean(marks),
        np.std(marks, ddof=1),
    ]


def compare(share, n, earlier):
    """Return the sign of a share's difference from earlier (share, n), in percent."""
    before = sum(k for _, k in earlier)
    if before < 3 * SUPPRESSED_BELOW:
        return "n/a"
    past = sum(s * k for s, k in earlier) / before
    pooled = (n * share + before * past) / (n + before)
    error = np.sqrt(pooled * (100 - pooled) * (1 / n + 1 / before))
    if abs(share - past) <= 1.96 * error:
        return "="
    return "+" if share > past else "-"


DECIMALS = {"mean": 4, "nu": 2, "authority_mean": 4, "cohort_mean": 4}  # of the true values


def simulate(seed=SEED):
    """Return the rows of the workbook below its header, and the true values."""
    rng = np.random.default_rng(seed)
    schools = draw_schools(rng)
    province = rng.normal(0, 0.06, size=(len(COURSES), len(YEARS)))
    rows, truth = [], []
    for school in schools:
        effects = draw_drift(rng, school["school_effect"], school["kind"].spread)
        for c, course in enumerate(COURSES):
            if rng.random() < 0.05:
                continue  # not offered
            cells, values = simulate_course(rng, school, c, province[c], effects[:, c])
            keys = ["authority", "authority_name", "school", "school_name"]
            rows.append([course.name, school["kind"].name, *(school[key] for key in keys), *cells])
            truth += [
                (course.name, year, school["authority"], school["school"], *v)
                for year, *v in values
            ]
    columns = ["course", "year", "authority", "school"]
    columns += ["mean", "nu", "authority_mean", "cohort_mean"]
    truth = pd.DataFrame(truth, columns=columns)
    # The order of read_diploma: by course, then year, then row of the workbook.
    truth = truth.sort_values(["course", "year"], kind="stable", ignore_index=True)
    return rows, truth


def simulate_course(rng, school, c, province, effects):
    """Return the cells of a school's row in course c, and each year's true values."""
    course = COURSES[c]
    authority = logit(course.mean) + school["kind"].effect
    authority += course.authority_sd * school["authority_effect"][c]
    factor = (30 / school["size"]) ** 0.12  # small schools differ more
    own = factor * course.school_sd * effects
    size = course.share * school["size"] * np.exp(rng.normal(0, 0.15))
    own += course.size_slope * np.log(max(size, 1) / 30)
    nu = course.nu * (max(size, 1) / 30) ** NU_SLOPE * np.exp(rng.normal(0, 0.16))
    awarded_nu = course.awarded_nu * np.exp(rng.normal(0, 0.25))
    lift = course.awarded_lift + rng.normal(0, 0.25)

    cells, values, published = [], [], {}
    for year, shift, effect in zip(YEARS, province, own, strict=True):
        n = rng.poisson(size * np.exp(rng.normal(0, 0.12)))
        if n < SUPPRESSED_BELOW:
            if year in PUBLISHED:
                cells += ["n/a"] * len(MEASURES)
            continue
        mean = expit(authority + shift + effect)
        cohort = draw_cohort(rng, mean, nu, n, course.design_effect - 1)
        awarded_mean = expit(0.65 * logit(cohort) + 0.35 * logit(course.mean) + lift)
        exam = summarise(draw_marks(rng, cohort, nu, n))
        awarded = summarise(draw_marks(rng, awarded_mean, awarded_nu, n))
        published[year] = n, *exam[:2]
        if year not in PUBLISHED:
            continue
        earlier = [published[y] for y in range(year - 3, year) if y in published]
        signs = [compare(exam[k], n, [(past[1 + k], past[0]) for past in earlier]) for k in (0, 1)]
        excellent, acceptable, average, sd = (f"{value:.1f}" for value in exam)
        cells += [str(n), *(f"{value:.1f}" for value in awarded)]
        cells += [excellent, signs[0], acceptable, signs[1], average, sd]
        values.append((year, mean, nu, expit(authority + shift), cohort))
    return cells, values


def draw_cohort(rng, mean, nu, n, excess):
    """Draw the mean of a school's n students of a year."""
    size = n * (nu + 1) / excess
    return rng.beta(mean * size, (1 - mean) * size)


def draw_marks(rng, mean, nu, n):
    """Draw n marks in whole percent."""
    return np.rint(100 * rng.beta(mean * nu, (1 - mean) * nu, size=n))


def write_workbook(rows, path):
    """Write the workbook, dated 2000 whenever it is made, so that its bytes can be checked."""
    workbook = openpyxl.Workbook()
    workbook.properties.title = "Simulated diploma examination results"
    workbook.properties.creator = "hbm, data/make_diploma.py"
    workbook.properties.created = datetime(2000, 1, 1)
    sheet = workbook.active
    sheet.title = SHEET
    for row in [HEADER, *rows, [FOOTNOTE]]:
        sheet.append(row)
    sheet.merge_cells(
        start_row=len(rows) + 2, end_row=len(rows) + 2, start_column=1, end_column=len(HEADER)
    )
    saved = io.BytesIO()
    workbook.save(saved)
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"\d{4}-\d\d-\d\dT[\d:]+Z", b"2000-01-01T00:00:00Z", content)
            entry = zipfile.ZipInfo(name, date_time=(2000, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, content, compresslevel=9)


def main():
    rows, truth = simulate()
    write_workbook(rows, WORKBOOK)
    truth.round(DECIMALS).to_csv(TRUTH, index=False, lineterminator="\n")
    for path in (WORKBOOK, TRUTH):
        print(hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, path)


if __name__ == "__main__":
    main()
