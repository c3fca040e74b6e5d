"""Effective draws of the three parameterisations, per draw and per second, and Bambi's.

Each line is one fit of 4 chains of 1,000 draws with the default settings of `hbm.sample`. ESS is
the smallest bulk ESS of any quantity; seconds are those of the sampling, without compiling, and
CPU seconds those of building, compiling, sampling and checking together. Bambi's heights are the
same model; its scores have one sample size nu for all schools, since it has no simple word for
one each, and its own default priors. Tables of means and standard deviations it cannot express.
"""

import time
import warnings

import measuring

import hbm

FORMS = ("informed", "centred", "non-centred")


def ours(name, table):
    """Return functions that build the model in its three forms; students are independent."""
    module, function = name.split(".")
    build = getattr(getattr(hbm, module), function)
    known = {"design_effect": 1} if module == "exams" else {}
    return {form: lambda form=form: build(table, parameterisation=form, **known) for form in FORMS}


def bambis(table):
    """Return a function that builds Bambi's nearest model, if there is one and Bambi is there."""
    try:
        import bambi
    except ImportError:
        return {}
    priors = hbm.heights.Priors()

    def heights():
        half_normal = bambi.Prior("HalfNormal", sigma=priors.tau_country)
        model = bambi.Model(
            "height ~ 1 + (1|country)",
            table,
            priors={
                "Intercept": bambi.Prior("Normal", mu=priors.mu_mean, sigma=priors.mu_sd),
                "1|country": bambi.Prior("Normal", mu=0, sigma=half_normal),
                "sigma": bambi.Prior("HalfNormal", sigma=priors.sigma),
            },
            center_predictors=False,
        )
        model.build()
        return model.backend.model

    def scores():
        formula = "score ~ 1 + (1|district) + (1|district:school)"
        model = bambi.Model(formula, table, family="beta", center_predictors=False)
        model.build()
        return model.backend.model

    return {"Bambi": heights if "height" in table else scores}


def measure(name, form, build, sampler):
    """Fit once and return one line of the benchmark."""
    before = time.process_time()
    model = build()
    with warnings.catch_warnings():
        # That a form fails is what is to be seen.
        warnings.simplefilter("ignore", hbm.ConvergenceWarning)
        fit = hbm.sample(model, random_seed=1, progressbar=False, nuts_sampler=sampler)
    cpu = time.process_time() - before
    checks = hbm.diagnose(fit).checks.set_index("check")["value"]
    ess = checks["bulk ESS"]
    seconds = float(fit["posterior"].attrs["sampling_time"])
    return {
        "model": name,
        "form": form,
        "sampler": sampler,
        "R-hat": round(checks["R-hat"], 3),
        "divergences": int(checks["divergences"]),
        "steps": round(float(fit["sample_stats/n_steps"].mean()), 1),
        "ESS": round(ess),
        "ESS a draw": round(ess / fit["posterior/chain"].size / fit["posterior/draw"].size, 3),
        "ESS a second": round(ess / seconds, 1),
        "CPU s": round(cpu, 1),
    }


def main():
    workbook = measuring.options(__doc__).workbook
    table = hbm.exam_table(measuring.results(workbook), course="Mathematics 30-1", year=2016)
    tables = {
        "heights.partial_pooling": hbm.load_dataset("heights"),
        "scores.nested": hbm.load_dataset("nested_scores"),
        "exams.nested": table,
    }
    rows = []
    for name, data in tables.items():
        builds = ours(name, data) | ({} if name == "exams.nested" else bambis(data))
        schools = {"schools": len(data)} if name == "exams.nested" else {}
        for sampler in ("nutpie", "pymc"):
            for form, build in builds.items():
                rows.append(measure(name, form, build, sampler) | schools)
    measuring.show(f"Draws: 4 × 1,000; exams: {len(table)} schools", rows)


if __name__ == "__main__":
    main()
