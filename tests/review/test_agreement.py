"""Cohen's kappa is that of scikit-learn, and is taken of the images that two reviewers have both answered."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sem_lightning.review.agreement import cohens_kappa, compare_reviewers
from sem_lightning.review.answers import Answer, StoredAnswer

LABELS = st.sampled_from(["good", "gap", "bridge", "unsure"])


@settings(deadline=None)  # scikit-learn takes long to import
@given(pairs=st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=60))
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    judge = pytest.importorskip("sklearn.metrics")
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    found = cohens_kappa(first, second)
    if len({*first, *second}) == 1:
        assert found is None
    else:
        assert found == pytest.approx(judge.cohen_kappa_score(first, second), abs=1e-12)


def test_kappa_by_hand() -> None:
    # 25 pairs yes-yes, 10 yes-no, 15 no-yes, 20 no-no: p_o = 45/70, p_e = (35*40 + 35*30)/4900 = 0.5
    first = ["yes"] * 35 + ["no"] * 35
    second = ["yes"] * 25 + ["no"] * 10 + ["yes"] * 15 + ["no"] * 20
    assert cohens_kappa(first, second) == pytest.approx((45 / 70 - 0.5) / 0.5)
    assert cohens_kappa([], []) is None
    with pytest.raises(ValueError, match="found 1 and 2 answers"):
        cohens_kappa(["a"], ["a", "b"])


def test_only_common_images_of_the_same_content_count() -> None:
    def say(reviewer: str, image: str, label: str, sha256: str = "0") -> StoredAnswer:
        return StoredAnswer(0, "", Answer(image, sha256, reviewer, label))

    answers = [
        *(say("anna", name, label) for name, label in zip("abcd", ("gap", "good", "good", "gap"), strict=True)),
        *(say("ben", name, label) for name, label in zip("abcz", ("gap", "good", "gap", "gap"), strict=True)),
        say("ben", "d", "gap", "another"),
        say("carl", "q", "gap"),
    ]
    (found,) = compare_reviewers(answers)
    assert found.reviewers == ("anna", "ben") and found.images == 3 and found.same == pytest.approx(2 / 3)
    assert found.kappa == pytest.approx((2 / 3 - 4 / 9) / (1 - 4 / 9))
