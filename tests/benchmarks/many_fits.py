"""All course-years of the workbook, with `hbm.sample_each`."""

import functools
import warnings

import measuring

import hbm


def main():
    results = measuring.results(measuring.options(__doc__).workbook)
    years = results[["course", "year"]].drop_duplicates().itertuples(index=False, name=None)
    tables = {pair: hbm.exam_table(results, course=pair[0], year=pair[1]) for pair in years}
    rows = []
    for settings in ({"draws": 250, "tune": 100}, {}):
        row = {
            "fits": len(tables),
            "schools": sum(map(len, tables.values())),
            "draws": f"4 × {settings.get('draws', 1000)}",
        }
        with warnings.catch_warnings(), measuring.stopwatch(row):
            warnings.simplefilter("ignore", hbm.ConvergenceWarning)
            each = hbm.sample_each(
                functools.partial(hbm.exams.nested, design_effect=1),
                tables,
                method="nuts",
                random_seed=1,
                progressbar=False,
                **settings,
            )
        del row["CPU s"]  # of other processes
        ess = [measuring.smallest_ess(fit) for _, fit in each.fits.values()]
        rows.append(row | {"failed": len(each.errors), "warned": len(each.warnings)})
        rows[-1] |= {"smallest ESS": min(ess), "median of smallest": sorted(ess)[len(ess) // 2]}
        measuring.show("Many fits: every course and year", rows[-1:])


if __name__ == "__main__":
    main()
