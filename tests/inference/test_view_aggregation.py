"""One answer from several looks."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sem_lightning.decision.scores import log_odds_good
from sem_lightning.inference.view_aggregation import combine

LOGITS = st.lists(st.floats(-30, 30), min_size=3, max_size=3)


def probabilities(logits: list[list[float]], weights: list[float], wary: bool = True) -> list[float]:
    found = combine(torch.tensor([logits], dtype=torch.float64), torch.tensor([weights], dtype=torch.float64), wary)
    assert float(found.exp().sum()) == pytest.approx(1)
    return [float(p) for p in found.exp()[0]]


@given(looks=st.lists(st.tuples(LOGITS, st.sampled_from([0.5, 1.0])), min_size=1, max_size=4), wary=st.booleans())
def test_what_is_left_of_good_is_shared_as_on_average(looks: list[tuple[list[float], float]], wary: bool) -> None:
    logits, weights = [each for each, _ in looks], np.array([weight for _, weight in looks])
    single = torch.tensor(logits, dtype=torch.float64).softmax(dim=1).numpy()
    mean = weights @ single / weights.sum()
    good = (weights @ single[:, 0] ** (1 / 3) / weights.sum()) ** 3 if wary else mean[0]
    expected = [good, *(mean[1:] / mean[1:].sum() * (1 - good))]
    assert probabilities(logits, list(weights), wary) == pytest.approx(expected, abs=1e-9)
    # looks that are not there say nothing
    assert probabilities([*logits, [9.0, 0.0, 1.0]], [*weights, 0.0], wary) == pytest.approx(expected, abs=1e-9)


def test_a_defect_that_one_look_sees_outvotes_three_that_see_none() -> None:
    blind, sees = np.log([0.9, 0.06, 0.04]), np.log([0.001, 0.009, 0.99])
    found = probabilities([list(blind)] * 3 + [list(sees)], [1.0] * 4)
    assert max(found) == found[2]
    assert max(averaged := probabilities([list(blind)] * 3 + [list(sees)], [1.0] * 4, wary=False)) == averaged[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_surest_answers_are_still_told_apart(dtype: torch.dtype) -> None:
    logits = torch.tensor([[[high, 0.0, 0.0]] * 2 for high in (40.0, 41.0)], dtype=dtype)
    odds = log_odds_good(combine(logits, torch.ones(2, 2, dtype=dtype), True).double().numpy(), 1.0)
    assert list(odds) == pytest.approx([40 - np.log(2), 41 - np.log(2)], rel=1e-6)
    endless = torch.tensor([[[300.0, 0.0, 0.0]] * 2], dtype=dtype)
    assert bool(torch.isfinite(combine(endless, torch.ones(1, 2, dtype=dtype), True)).all())
