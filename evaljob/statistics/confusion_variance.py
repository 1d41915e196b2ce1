"""Variances of scores of a confusion matrix, each named as its score in `confusion`.

Counts have shape (series, K, K), variances (series,). Every such score is unchanged when all cells are multiplied by
the same number. With independent rows its variance is then `sum C_ij g_ij^2`, where g_ij says how the score changes
with the cell of true class i and predicted class j (the delta method).
"""

import numpy as np

from evaljob.statistics import confusion
from evaljob.statistics.arrays import Floats, Numbers, ratio


def smoothed(matrix: Numbers) -> Floats:
    """Counts with one right and one wrong row added, spread evenly over the classes that occur or are predicted."""
    occurs = (matrix.sum(axis=1) + matrix.sum(axis=2)) > 0
    pair = (occurs[:, :, None] & occurs[:, None, :]).astype(np.float64)
    right = pair * _identity(matrix)
    return np.asarray(matrix + _one_row(right) + _one_row(pair - right))


def matthews_correlation(counts: Floats) -> Floats:
    """Of the multiclass correlation R_K."""
    right, truth, predicted, n = _parts(counts)
    covariance = right.sum(axis=1) * n - (truth * predicted).sum(axis=1)
    of_truth, of_predicted = (n**2 - (margin**2).sum(axis=1) for margin in (truth, predicted))
    step = _per_cell(n) * _identity(counts) + _per_cell(right.sum(axis=1)) - predicted[:, :, None] - truth[:, None, :]
    wider = ratio(n[:, None] - predicted, of_predicted[:, None])[:, None, :]
    taller = ratio(n[:, None] - truth, of_truth[:, None])[:, :, None]
    gradient = ratio(step - _per_cell(covariance) * (wider + taller), _per_cell(np.sqrt(of_truth * of_predicted)))
    return _variance(counts, gradient)


def cohen_kappa(counts: Floats) -> Floats:
    """Of kappa. Source: Fleiss, Cohen and Everitt (1969), Psychological Bulletin 72(5)."""
    right, truth, predicted, n = _parts(counts)
    chance = (truth * predicted).sum(axis=1)
    value, crossed = confusion.cohen_kappa(counts), predicted[:, :, None] + truth[:, None, :]
    step = _per_cell(n) * _identity(counts) + _per_cell(right.sum(axis=1)) - crossed
    return _variance(counts, ratio(step - _per_cell(value) * (2 * _per_cell(n) - crossed), _per_cell(n**2 - chance)))


def weighted_precision(counts: Floats) -> Floats:
    """Of precision weighted by how often each class occurs."""
    right, truth, predicted, _ = _parts(counts)
    value, share = np.nan_to_num(ratio(right, predicted)), np.nan_to_num(ratio(truth, predicted))
    return _of_weighted(counts, value, truth, share[:, None, :] * (_identity(counts) - value[:, None, :]))


def weighted_f1(counts: Floats) -> Floats:
    """Of F1 weighted by how often each class occurs."""
    right, truth, predicted, _ = _parts(counts)
    value = np.nan_to_num(ratio(2 * right, truth + predicted))
    share = np.nan_to_num(ratio(truth, truth + predicted))
    pull = share * value
    step = 2 * _identity(counts) * share[:, :, None] - pull[:, :, None] - pull[:, None, :]
    return _of_weighted(counts, value, truth, step)


def weighted_specificity(counts: Floats) -> Floats:
    """Of specificity weighted by how often each class occurs."""
    right, truth, predicted, n = _parts(counts)
    rest = n[:, None] - truth
    alarms, odds = np.nan_to_num(ratio(predicted - right, rest)), np.nan_to_num(ratio(truth, rest))
    pull = odds * alarms
    step = (pull.sum(axis=1, keepdims=True) - pull)[:, :, None] - (1 - _identity(counts)) * odds[:, None, :]
    return _of_weighted(counts, 1 - alarms, truth, step)


def f1_correlation(counts: Floats) -> Floats:
    """How the F1 of two classes vary together, (series, K, K): a row one misses is a false alarm of another."""
    right, truth, predicted, _ = _parts(counts)
    size = truth + predicted
    value = np.nan_to_num(ratio(2 * right, size))
    alone = right * (2 - 2 * value) ** 2 + (size - 2 * right) * value**2
    spread = np.sqrt(alone)
    shared = value[:, :, None] * value[:, None, :] * (counts + np.swapaxes(counts, 1, 2))
    mixed = np.nan_to_num(ratio(shared, spread[:, :, None] * spread[:, None, :]))
    return np.where(_identity(counts) == 1, 1.0, mixed)


def _one_row(cells: Floats) -> Floats:
    """A single row spread evenly over the marked cells."""
    return np.asarray(cells / np.maximum(cells.sum(axis=(1, 2), keepdims=True), 1.0))


def _of_weighted(counts: Floats, value: Floats, truth: Floats, step: Floats) -> Floats:
    """Of `sum_k t_k v_k / n`, where `step` is `sum_k t_k dv_k` for each cell."""
    n = truth.sum(axis=1)
    mean = ratio((truth * value).sum(axis=1), n)
    return _variance(counts, ratio(value[:, :, None] - _per_cell(mean) + step, _per_cell(n)))


def _variance(counts: Floats, gradient: Floats) -> Floats:
    return np.asarray((counts * gradient**2).sum(axis=(1, 2)))


def _parts(counts: Numbers) -> tuple[Floats, Floats, Floats, Floats]:
    """Right predictions, truth and predictions per class, and the number of rows."""
    right = np.diagonal(counts, axis1=1, axis2=2).astype(np.float64)
    return right, counts.sum(axis=2), counts.sum(axis=1), counts.sum(axis=(1, 2))


def _identity(matrix: Numbers) -> Floats:
    return np.eye(matrix.shape[1])[None]


def _per_cell(values: Floats) -> Floats:
    return values[:, None, None]
