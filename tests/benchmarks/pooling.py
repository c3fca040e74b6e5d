"""What `hbm.shrinkage` calls pooling, against the part of the prior variance that is left.

The latter is that of a school's effect given its published mean and sd, by quadrature, for the
draws of all else.
"""

import measuring
import numpy as np
from scipy.special import expit

import hbm
from hbm.hierarchy.fitted import read_fit
from hbm.students.likelihoods import beta_summary_logp

EVERY = 40  # a hundred draws of 4,000


def left(fit):
    """Return the part of each school's prior variance that is left, averaged over draws."""
    fitted = read_fit(fit)
    z = np.linspace(-6, 6, 481)
    around, nu = fitted.location("school")[::EVERY], fitted.spread[::EVERY]
    tau = fitted.tau("school")[::EVERY, None, None]
    excess = np.broadcast_to(fitted.excess, fitted.n_draws)[::EVERY, None, None]
    (mean, sd), n = fitted.published, fitted.d.n
    parts = []
    for j in range(len(n)):
        mu = expit(around[:, j, None, None] + tau * z)
        of_school = mean[j], sd[j], n[j], mu, nu[:, j, None, None], excess
        log_density = beta_summary_logp(*of_school) - z**2 / 2
        weight = np.exp(log_density - log_density.max(axis=-1, keepdims=True))
        weight /= weight.sum(axis=-1, keepdims=True)
        parts.append(((weight * z**2).sum(-1) - (weight * z).sum(-1) ** 2).mean())
    return np.array(parts)


def main():
    workbook = measuring.options(__doc__).workbook
    table = hbm.exam_table(measuring.results(workbook), course="Mathematics 30-1", year=2016)
    fit = hbm.sample(hbm.exams.nested(table), random_seed=1, progressbar=False)
    schools = hbm.shrinkage(fit, "school").set_index("school").loc[table["school"]]
    schools["left"] = left(fit)
    schools["difference"] = (schools["pooling"] - schools["left"]).abs()
    worst = schools.sort_values("difference", ascending=False).head(4)
    columns = ["n_students", "raw_mean", "pooling", "left", "difference"]
    measuring.show("Pooling: the four worst", worst[columns].round(3).to_dict("records"))
    row = {
        "schools": len(schools),
        "fewest students": int(schools["n_students"].min()),
        "most": int(schools["n_students"].max()),
        "19 in 20 differ by less than": round(float(schools["difference"].quantile(0.95)), 3),
    }
    measuring.show("Pooling: all schools", [row])


if __name__ == "__main__":
    main()
