"""The models to use, each with a small table it takes."""

from functools import cache

import hbm

MODELS = {
    "heights.complete_pooling": "heights",
    "heights.no_pooling": "heights",
    "heights.partial_pooling": "heights",
    "scores.complete_pooling": "nested_scores",
    "scores.no_pooling": "nested_scores",
    "scores.partial_pooling": "nested_scores",
    "scores.nested": "nested_scores",
    "exams.complete_pooling": "exams",
    "exams.no_pooling": "exams",
    "exams.partial_pooling": "exams",
    "exams.nested": "exams",
}


@cache
def _exam_table():
    # Authorities of one school, schools of one to a hundred students.
    sizes = [3, 8, 12, 30, 100, 5, 25, 60, 1, 2, 40]
    return hbm.simulate.exams([4, 3, 1, 2, 1], sizes, random_seed=8)[0]


def table_for(name):
    """Return a fresh copy of the table of a model or data set."""
    kind = MODELS.get(name, name)
    return _exam_table().copy() if kind == "exams" else hbm.load_dataset(kind)


def model_function(name):
    """Find a model's function by its dotted name."""
    module, function = name.split(".")
    return getattr(getattr(hbm, module), function)


def build(name, **kwargs):
    """Build a model on its small table."""
    return model_function(name)(table_for(name), **kwargs)
