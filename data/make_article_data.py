"""Make the csv files of the article's simulations: heights, scores, nested scores.

The article simulated them in R. Its generator and the three distributions it drew from are written
out here, so that the same seeds give the same files, byte for byte, without R:

    python data/make_article_data.py

The generator is the Mersenne Twister (Matsumoto & Nishimura 1998), seeded by R's scrambling;
Normals come by inversion (Wichura 1988, AS 241, which Python's NormalDist uses too), exponentials
by Ahrens & Dieter (1972, SA) and Betas by Cheng (1978, BB).
"""

import math
from itertools import accumulate
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd

FOLDER = Path(__file__).resolve().parent


class R:
    """Random numbers as R draws them after ``set.seed(seed)``."""

    def __init__(self, seed):
        words = accumulate(
            range(50 + 625), lambda word, _: (69069 * word + 1) % 2**32, initial=seed
        )
        # R keeps the first of its 625 words for the position, which starts at the end.
        state = np.array(list(words)[-624:], dtype=np.uint32)
        self._twister = np.random.MT19937()
        self._twister.state = {"bit_generator": "MT19937", "state": {"key": state, "pos": 624}}

    def uniform(self):
        return int(self._twister.random_raw()) * 2.3283064365386963e-10

    def normal(self, mean, sd):
        bits = 2**27
        u = (int(bits * self.uniform()) + self.uniform()) / bits
        return mean + sd * NormalDist().inv_cdf(u)

    def exponential(self):
        """Draw from the exponential distribution of mean 1."""
        q = list(accumulate(math.log(2) ** k / math.factorial(k) for k in range(1, 17)))
        whole, u = 0.0, 2 * self.uniform()
        while u <= 1:
            whole, u = whole + q[0], 2 * u
        u -= 1
        if u <= q[0]:
            return whole + u
        smallest = min(self.uniform(), self.uniform())
        k = 1
        while u > q[k]:
            smallest, k = min(smallest, self.uniform()), k + 1
        return whole + smallest * q[0]

    def beta(self, alpha, beta):
        """Draw from Beta(alpha, beta), both above 1."""
        a, b = sorted([alpha, beta])
        total = a + b
        lam = math.sqrt((total - 2) / (2 * a * b - total))
        while True:
            u1, u2 = self.uniform(), self.uniform()
            v = lam * math.log(u1 / (1 - u1))
            w = a * math.exp(v)
            z = u1 * u1 * u2
            r = (a + 1 / lam) * v - 1.3862944  # log 4
            s = a + r - w
            if s + 2.609438 >= 5 * z:  # 1 + log 5
                break
            t = math.log(z)
            if s > t or r + total * math.log(total / (b + w)) >= t:
                break
        return w / (b + w) if alpha == a else b / (b + w)

    def beta_mean(self, mean, nu):
        return self.beta(mean * nu, (1 - mean) * nu)


def heights():
    """Return people and the true means: 4 countries, 20 people each."""
    r = R(500)
    means = [r.normal(176, 10) for _ in range(4)]
    r.exponential()  # a spread of countries that the article drew and did not use
    people = [(c, r.normal(mean, 3)) for c, mean in enumerate(means, 1) for _ in range(20)]
    return (
        pd.DataFrame(people, columns=["country", "height"]),
        pd.DataFrame({"country": range(1, 5), "mean": means}),
    )


def scores():
    """Return students and the true means: 5 schools, 20 students each."""
    r = R(1234)
    means = [r.beta_mean(0.75, 50) for _ in range(5)]
    r = R(1234)
    students = [(s, r.beta_mean(mean, 30)) for s, mean in enumerate(means, 1) for _ in range(20)]
    return (
        pd.DataFrame(students, columns=["school", "score"]),
        pd.DataFrame({"school": range(1, 6), "mean": means}),
    )


def nested_scores():
    """Return students and the true means: 3 districts, 3 schools each, 20 students each."""
    r = R(1234)
    districts = [(d, r.beta_mean(0.75, 30)) for d in (1, 2, 3)]
    r = R(2024)
    truth = pd.DataFrame(
        [
            (d, mean, 3 * (d - 1) + k, r.beta_mean(mean, 40))
            for d, mean in districts
            for k in (1, 2, 3)
        ],
        columns=["district", "district_mean", "school", "school_mean"],
    )
    r = R(2024)
    students = [
        (row.district, row.school, r.beta_mean(row.school_mean, 30))
        for row in truth.itertuples()
        for _ in range(20)
    ]
    return pd.DataFrame(students, columns=["district", "school", "score"]), truth


def files():
    """Return the contents of each file by its name."""
    contents = {}
    for make in (heights, scores, nested_scores):
        for suffix, table in zip(("", "_truth"), make(), strict=True):
            text = table.to_csv(index=False, float_format="%.17g", lineterminator="\n")
            contents[f"{make.__name__}{suffix}.csv"] = text
    return contents


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text, newline="\n")
        print(FOLDER / name)
