"""What the README says of the benchmarks, word by word, with the numbers of a run.

`tests/test_benchmarks.py` holds the README to these words. Parts that did not run are left out.
"""

import textwrap

PARTS = (
    "direct",
    "draws",
    "startup",
    "many_fits",
    "many_students",
    "many_schools",
    "page",
    "leave_out",
    "article",
)

KNOWN_HOW_WELL = (
    "The means of `hbm.exams.nested` are known a little less well than sd/√n says, by the design "
    "effect, and a little better, by what other schools tell."
)


def paragraphs(rows, cores):
    """Return the README's paragraphs on the parts that ran, in the README's order.

    Parameters
    ----------
    rows : dict of str to list of dict
        The rows that each part showed.
    cores : int
        What the machine has.
    """
    found = []
    if "draws" in rows:
        found += [fill(informed(rows["draws"]))]
    if "leave_out" in rows:
        found.append(fill(leave_out(rows["leave_out"])))
    if "direct" in rows:
        found += [fill(independent(rows["direct"], cores)), tables(rows["direct"])]
        found += [fill(every_table(rows["direct"])), fill(known(rows["direct"]))]
    if "draws" in rows:
        found += [fill(how_measured(cores)), draws(rows["draws"])]
    if {"many_students", "many_schools"} <= set(rows):
        found.append(fill(cost(rows["many_students"], rows["many_schools"])))
    if {"startup", "many_fits"} <= set(rows):
        found.append(fill(seconds(rows["startup"], rows["many_fits"])))
    if "page" in rows:
        found.append(fill(page(rows["page"])))
    if "article" in rows:
        found += [article(*rows["article"]), fill(KNOWN_HOW_WELL)]
        found.append(fill(pooled(rows["article"][1])))
        found.append(fill(small_and_large(rows["article"][1])))
    return found


def fill(text):
    return textwrap.fill(text, 128, break_on_hyphens=False)


def one(rows, **wanted):
    """Return the one row that has these values."""
    (row,) = (row for row in rows if wanted.items() <= row.items())
    return row


def informed(rows):
    exams = [row for row in rows if row["model"] == "exams.nested" and row["sampler"] == "nutpie"]
    ess = {row["form"]: row["ESS"] for row in exams}
    return (
        f"For the {exams[0]['schools']} schools below the smallest effective sample size of any "
        f"quantity is {ess['informed']:,} of 4,000 draws; the same model gives "
        f"{ess['centred']:,} centred and {ess['non-centred']:,} non-centred"
    )


def leave_out(rows):
    rows = [row for row in rows if "design effect" not in row]
    above = sum(row["k > 0.5"] for row in rows)
    elpd = [row["elpd"] for row in rows]
    return (
        f"of the {rows[0]['schools']} schools {above or 'none'} had a Pareto k above 0.5 in "
        f"{len(rows)} fits (the largest {max(row['largest k'] for row in rows):.2f}), and the "
        f"sums lie between {min(elpd):.1f} and {max(elpd):.1f}"
    )


def independent(rows, cores):
    whole = {
        (row["design effect"], row["method"], row["caches"]): row["whole s"]
        for row in rows
        if "whole s" in row
    }

    def of(effect, method):
        return (
            f"{whole[effect, method, 'warm']:.1f} s with warm caches and "
            f"{whole[effect, method, 'empty']:.1f} s with empty ones"
        )

    imported = one(rows, method="direct", caches="warm", **{"design effect": "learned"})
    return (
        "**Independent draws**, which one year's models take by default. From an empty process to "
        f"the printed estimates of the course's schools, on {cores} cores, it is "
        f"{of('learned', 'direct')}, of which importing takes {imported['import s']:.1f} s, and "
        f"{of('fixed', 'direct')} where the design effect is known; by NUTS {of('learned', 'nuts')}"
        f", and {of('fixed', 'nuts')}. 4,000 draws, with nothing left to be compiled:"
    )


def tables(rows):
    """Return the table of independent draws."""
    lines = [
        "| schools | design effect | s | CPU s | efficiency | k-hat | grid error, nats |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if "evaluations" in row:
            label = f"{row['schools']:,}" + ("" if row["table"] == "simulated" else ", the course")
            effect = row.get("design effect")
            if row["table"] == "students":
                label = f"{row['schools']:,}, {row['students']:,} students (`scores`)"
                effect = "none"
            cells = [label, effect, f"{row['s']:.1f}", f"{row['CPU s']:.1f}"]
            cells += [f"{row['efficiency']:.2f}", f"{row['pareto_k']:.2f}", row["grid error"]]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def every_table(rows):
    (row,) = (row for row in rows if "fits" in row)
    return (
        f"All {row['fits']} course-years of the workbook, {row['schools']:,} schools, take "
        f"{row['s']:.0f} s with `hbm.sample_each`, none below {row['least effective draws']:,} "
        f"effective draws of 4,000 (the least efficiency {row['least efficiency']:.2f}, the "
        f"largest k-hat {row['largest k']:.2f})."
    )


def known(rows):
    of = {(row["predictors"], row["method"]): row for row in rows if "predictors" in row}

    def told(method):
        cells = [of[name, method] for name in ("none", "log_n_students", "three")]
        cpu = [f"{row['CPU s'] / cells[0]['CPU s']:.1f}" for row in cells[1:]]
        draws = [f"{row['least effective draws']:,}" for row in cells]
        return *cpu, *draws[1:], draws[0]

    direct, nuts = told("direct"), told("nuts")
    return (
        "Coefficients cost time: with the number of students, and with three predictors of eight "
        "columns, the course takes {} and {} times the CPU s of without, for {} and {} effective "
        "draws in place of {}; by NUTS ".format(*direct)
        + "{} and {} times, for a smallest ESS of {} and {} in place of {}.".format(*nuts)
    )


def how_measured(cores):
    return (
        f"**NUTS**, on {cores} cores, with 4 chains of 1,000 draws; smallest bulk ESS of any "
        "quantity:"
    )


def draws(rows):
    """Return the table of effective draws."""
    schools = one(rows, model="exams.nested", form="informed", sampler="nutpie")["schools"]
    labels = {
        "exams.nested": f"`exams.nested`, {schools} schools",
        "scores.nested": "`scores.nested`, the article's 9 schools",
    }
    lines = [
        "| model | form | nutpie: ESS a draw | a second | PyMC's sampler: ESS a draw | a second |",
        "|---|---|---|---|---|---|",
    ]

    def line(label, form, model, of):
        cells = []
        for sampler in ("nutpie", "pymc"):
            row = one(rows, model=model, form=of, sampler=sampler)
            cells += [f"{row['ESS a draw']:.3f}", f"{row['ESS a second']:,.0f}"]
        return f"| {' | '.join([label, form, *cells])} |".replace("|  |", "| |")

    for model, label in labels.items():
        for form in ("informed", "centred", "non-centred"):
            lines.append(line(label if form == "informed" else "", form, model, form))
    if any(row["form"] == "Bambi" for row in rows):
        nearest = "the nearest in Bambi: one nu for all schools"
        lines.append(line(nearest, "its own", "scores.nested", "Bambi"))
    return "\n".join(lines)


def cost(students, schools):
    few, many = sorted(students, key=lambda row: row["students"])
    least, *_, most = schools
    return (
        "A gradient costs the number of schools, not that of students: with a million students in "
        f"1,000 schools NUTS takes {many['sampling s']:.0f} s, and {few['sampling s']:.0f} s "
        f"with ten thousand in the same schools (peak memory {many['peak MB'] / 1000:.1f} GB and "
        f"{few['peak MB'] / 1000:.1f} GB). The cost is in proportion: {least['µs a school']:.2f} "
        f"µs a school and gradient for {least['schools']} schools, {most['µs a school']:.2f} µs "
        f"for {most['schools']:,}; {most['schools']:,} schools in {most['authorities']} "
        f"authorities take {most['fit s']:.0f} s."
    )


def seconds(startup, many_fits):
    warm, empty = (one(startup, draws="4 × 1000", caches=state) for state in ("warm", "empty"))
    every = one(many_fits, draws="4 × 1000")
    return (
        f"By NUTS, from an empty process to the printed estimates of {warm['schools']} schools is "
        f"{warm['in all']:.0f} s with warm compile caches and {empty['in all']:.0f} s with empty "
        f"ones; of the {warm['in all']:.0f}, importing takes "
        f"{warm['import'] + warm['import nutpie']:.0f}, compiling {warm['compile']:.0f}, sampling "
        f"{warm['sample']:.0f} and checking {warm['diagnose']:.0f}. All {every['fits']} "
        f"course-years of the workbook, {every['schools']:,} schools, take {every['s']:.0f} s "
        "with `hbm.sample_each` and NUTS."
    )


def page(rows):
    one_year, years, many = rows
    return (
        f"A page (`hbm.report`) of {one_year['schools']} schools is {one_year['MB']:.1f} MB and "
        f"takes {one_year['CPU s']:.0f} s of a processor, checks not counted; of {years['years']} "
        f"years of {years['schools']} schools it is {years['MB']:.1f} MB, of "
        f"{many['schools']:,} schools {many['MB']:.0f} MB."
    )


def article(theirs, ours):
    """Return the table of the article's nested model and ours."""
    lines = [
        ("", "the article's nested model", "`hbm.exams.nested`"),
        ("---", "---", "---"),
        (
            "schools in the model",
            f"{theirs['schools']} of {ours['schools']}: those with {theirs['smallest']} students "
            "or more",
            f"all {ours['schools']}, from n = {ours['smallest']} up",
        ),
        ("what it learns from", "the means", "the means and the standard deviations"),
        (
            "standard deviation of students, in points of a hundred",
            f"{100 * theirs['sd']:.1f}, from the prior; {100 * theirs['published']:.1f} are "
            "published",
            f"{100 * ours['sd']:.1f}, learned; {100 * ours['published']:.1f} are published",
        ),
        (
            "a school's own sd/√n against the posterior sd of its mean",
            f"{theirs['times']:.1f} times: too sure",
            f"{ours['times']:.1f} times",
        ),
        (
            "smallest effective sample size, school means and hyperparameters",
            f"{theirs['ESS']:,.0f} of {theirs['draws']:,} draws",
            f"{ours['ESS']:,.0f} of {ours['draws']:,} draws",
        ),
    ]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return text.replace("|  |", "| |").replace("| --- | --- | --- |", "|---|---|---|")


def pooled(ours):
    small, large = ([round(100 * share) for share in ours[key]] for key in ("small", "large"))
    return (
        f"Pooling matters where schools are small: the five smallest, of {ours['smallest']} "
        f"students, are pulled {small[0]} to {small[1]} % of the way towards their authority's "
        f"mean, the five largest, of {ours['five largest']} or more, {large[0]} to {large[1]} %."
    )


def small_and_large(ours):
    low, high = ours["pit of small"], ours["pit of large"]
    return (
        f"`hbm.loo_pit` finds that schools of fewer than {ours['median size']} students are "
        f"predicted too high next to larger ones (they lie at {low:.2f} of their predictions on "
        f"average, larger ones at {high:.2f}, where both should be at 0.5), and their students' "
        "spread too."
    )
