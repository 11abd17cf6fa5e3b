"""Rates and limits from labelled comparisons: what they count, promise, refuse, and that they decide alike."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_up_inspections import make_good, make_inspection

from sem_lightning.decision.intervals import poisson_upper
from sem_lightning.errors import SettingError, UserError
from sem_lightning.inference.prediction import UnreadableImage
from sem_lightning.inspection.evaluation import evaluate_inspections
from sem_lightning.inspection.inspection import Inspection
from sem_lightning.inspection.inspector import Inspector
from sem_lightning.inspection.labels import read_labels
from sem_lightning.inspection.limits import BETWEEN, InspectionLimits, open_limits
from sem_lightning.inspection.limits_choice import choose_limits
from sem_lightning.inspection.outcomes import Outcomes, label_inspections
from sem_lightning.inspection.places import CANDIDATE_SCORE, find_places, peak_scores
from sem_lightning.io.images import ImageError
from sem_lightning.synthesis.pairs import PairSimulator


def with_peaks(*peaks: float, **changes: Any) -> Inspection:
    return make_good(**({"peaks": tuple(sorted(peaks, reverse=True))} | changes))


def outcomes_of(clean: Sequence[tuple[float, ...]], defective: Sequence[float], **changes: Any) -> Outcomes:
    inspections = [with_peaks(*each, **changes) for each in (*clean, *((each,) for each in defective))]
    return label_inspections(inspections, ["good"] * len(clean) + ["bridge"] * len(defective))


def unsure(**changes: Any) -> Inspection:
    return make_good(decision="unsure", reason="other place", **changes)


def test_rates_count_what_they_say(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(
        "File;Label;x;y;width;height\na.tif;bridge;8;18;4;4\nb.tif;gap;40;40;9;9\nb.tif;gap;0;0;11;21\n"
        "c.tif;Good;;;;\nd.tif;good\ne.tif;gap\nf.tif;good\n"
    )

    def named(name: str, found: Inspection) -> Inspection:
        return dataclasses.replace(found, path=tmp_path / name)

    inspections: list[Inspection | UnreadableImage] = [
        named("a.tif", make_inspection()), named("b.tif", make_inspection()), named("c.tif", make_inspection()),
        named("d.tif", make_good()), named("e.tif", make_good()),
        UnreadableImage(tmp_path / "f.tif", ImageError("f.tif: empty")), named("other.tif", make_good()),
    ]  # fmt: skip
    found = evaluate_inspections(label_inspections(inspections, table))
    assert str(found).splitlines() == [
        f"without a label, left out: 1 of 7 images: {tmp_path / 'other.tif'}",
        "unsure: 1 of 6 images: 0.167 [0.030, 0.564]",
        "escape: 1 of 3 defective images called good: 0.333 [0.061, 0.792]",
        "overkill: 1 of 3 good images called defect: 0.333 [0.061, 0.792]",
        "located: 2 of 3 defects with a place on their box: 0.667 [0.208, 0.939]",
        "balanced accuracy: 0.500 [0.233, 0.767]",  # one of three good images passes, one of three defects does
    ]
    nothing = evaluate_inspections(label_inspections([make_good()], ["good"]))
    assert nothing.balanced_accuracy is None and str(nothing).splitlines()[1:] == [
        "overkill: 0 of 1 good images called defect: 0.000 [0.000, 0.793]",
        "balanced accuracy: - (no image is labelled defective)",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image\na.tif\n", "found the columns image; expected image,label"),
        ("image,label\n", "lists no images"),
        ("image,label\na.tif,\n", "line 2: the label is empty"),
        ("image,label\na.tif,gap\na.tif,gap\n", "line 3: a.tif is listed more than once"),
        ("image,label,x,y,width,height\na.tif,good,1,1,2,2\n", "line 2: found a box of a good image"),
        ("image,label,x,y,width,height\na.tif,gap,1,1,2,\n", "line 2: found the box 1, 1, 2, , expected four numbers"),
        ("image,label,x,y,width,height\na.tif,gap,1,nan,2,2\n", "line 2: found the box 1, nan, 2, 2"),
        ("image,label,x,y,width,height\na.tif,gap,1,1,0,2\n", "line 2: found the box 1, 1, 0, 2"),
    ],
)
def test_labels_that_cannot_be(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        read_labels(tmp_path / "labels.csv")


def test_the_limit_of_places_is_the_lowest_that_few_enough_peaks_of_clean_pairs_reach() -> None:
    clean = [(float(number), 4.0) for number in range(5, 105)]  # 100 pairs; 4 of the highest may stay above for 0.1
    limits = choose_limits(outcomes_of(clean, [50.0] * 3), false_places=0.1)
    assert limits.clean_peaks == limits.overkill == 4 and 100 < limits.defect_from < 100.001
    assert limits.false_places_bound == pytest.approx(poisson_upper(4, 0.95) / 100) and limits.good_below is None
    assert (limits.escapes, limits.escape_bound, limits.unsure, limits.left_out) == (3, None, 0, 0)
    none_of_30 = choose_limits(outcomes_of([(6.0,)] * 30, []), false_places=0.1)
    assert none_of_30.clean_peaks == 0 and none_of_30.false_places_bound == pytest.approx(2.9957 / 30, rel=1e-4)
    lenient = choose_limits(outcomes_of([(2.0,)] * 30, []), false_places=100)
    assert lenient.defect_from == CANDIDATE_SCORE  # lower peaks are not kept, so their number is not known


def test_the_limit_of_escapes_is_the_highest_below_which_few_enough_defects_lie() -> None:
    defective = [float(number) for number in range(1, 101)]
    limits = choose_limits(outcomes_of([(60.0,)] * 40, defective), 0.1, max_escape=0.05)
    assert limits.good_below == 2.0 and limits.escapes == 1  # the count within Clopper and Pearson's bound
    assert limits.escape_bound == pytest.approx(0.0466, abs=1e-3)
    assert limits.decide(1.9) == ("good", None) and limits.decide(61.0) == ("defect", None)
    assert limits.decide(2.0) == limits.decide(60.0) == ("unsure", BETWEEN)
    assert limits.unsure == 40 + 59 and limits.overkill == 0
    assert limits.listed_from("unsure") == 2.0 and limits.listed_from("defect") == limits.defect_from
    apart = choose_limits(outcomes_of([(4.0,)] * 40, defective), 0.1, max_escape=0.2)
    assert apart.good_below is not None and apart.good_below > apart.defect_from
    assert [apart.decide(each)[0] for each in (4.0, 4.1, 99.0)] == ["good", "defect", "defect"]


def test_pairs_that_cannot_be_compared_are_neither_clean_nor_escaped() -> None:
    inspections = [with_peaks(5.0)] * 30 + [unsure()] * 4
    words = ["good"] * 32 + ["gap"] * 2
    assert choose_limits(label_inspections(inspections, words), 0.1).left_out == 4
    with pytest.raises(SettingError, match="from 29 clean pairs; that takes 30 of them"):
        choose_limits(label_inspections(inspections[1:], ["good"] * 29 + words[30:]), 0.1)
    with pytest.raises(SettingError, match=r"max_escape: 0.05 cannot be promised .* from 0 defective pairs; .* 59"):
        choose_limits(label_inspections(inspections, words), 0.1, max_escape=0.05)


def test_a_networks_limits_are_log_odds_and_go_with_it() -> None:
    outcomes = outcomes_of([()] * 25 + [(-3.0,)] * 5, [-6.0] + [4.0] * 99, network="ab" * 32)
    limits = choose_limits(outcomes, 0.1, max_escape=0.05)
    assert limits.network == "ab" * 32 and -3 < limits.defect_from < -2.999 and limits.good_below == 4.0
    assert "log odds" in str(limits) and limits.decide(-np.inf) == ("good", None)
    with pytest.raises(SettingError, match="limits: were chosen with the network abababababab, found no network"):
        Inspector(network=None, limits=limits)
    unseen = outcomes_of([()] * 30, [-4.0] * 20, network="ab")
    unseen.labelled[-1] = dataclasses.replace(unseen.labelled[-1], peaks=())
    with pytest.raises(SettingError, match="in 1 of 20 defective pairs the network finds nothing to look at, and"):
        choose_limits(unseen, 0.1, max_escape=0.2)
    unseen.labelled[0] = dataclasses.replace(unseen.labelled[0], network=None)
    with pytest.raises(SettingError, match="network: the pairs were compared with several"):
        choose_limits(unseen, 0.1)


@pytest.fixture(scope="module")
def limits() -> InspectionLimits:
    return choose_limits(outcomes_of([(6.0,)] * 30, [9.0] * 30), 0.1, max_escape=0.1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"defect_from": float("nan")}, "it holds NaN"),
        ({"defect_from": "6"}, "a limit or a bound is no number"),
        ({"good_below": None}, "good_below and max_escape do not go together"),
        ({"clean_pairs": -1}, "a count is no whole number"),
        ({"confidence": 2}, "a bound is out of range"),
        ({"false_places_bound": -3}, "a bound is not the promised one"),
        ({"defect_from": 1e308}, "a limit is beyond 1e"),
        ({"overkill": 31}, "a count is larger than the number of pairs"),
        ({"version": "99.0"}, "its version is '99.0', this is"),
        ({"network": 5}, "network or version is no text"),
        ({"kind": "rule"}, "its kind is not"),
        ({"schema": 2}, "its schema is not 1"),
        ({"more": 1}, "unexpected keyword argument 'more'"),
    ],
)
def test_a_file_that_holds_no_limits_is_refused(
    change: dict[str, Any], said: str, limits: InspectionLimits, tmp_path: Path
) -> None:
    limits.save(tmp_path / "new" / "limits.json")
    assert open_limits(tmp_path / "new" / "limits.json") == limits
    content = json.loads((tmp_path / "new" / "limits.json").read_text()) | change
    (tmp_path / "limits.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"limits.json: no limits that save_limits=... has written .*{said}"):
        Inspector(network=None, limits=tmp_path / "limits.json")


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "limits.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(UserError, match=r"limits\.json: no limits"):
        open_limits(tmp_path / "limits.json")
    with pytest.raises(UserError, match=r"limits: .*nowhere is no file"):
        open_limits(tmp_path / "nowhere")


def test_no_limit_shows_more_places_than_peaks_reach_it() -> None:
    noise = cv2.GaussianBlur(np.random.default_rng(1).normal(size=(120, 160)).astype(np.float32), (0, 0), 2.0)
    scores = np.asarray(noise * np.float32(3 / noise.std()), np.float32)
    peaks = peak_scores(scores)
    assert (
        peaks[0] == np.abs(scores).max() and peaks[-1] >= CANDIDATE_SCORE and list(peaks) == sorted(peaks, reverse=True)
    )
    counts = [
        (len(find_places(scores, limit)), sum(peak >= limit for peak in peaks)) for limit in (CANDIDATE_SCORE, 5, 7, 9)
    ]
    assert all(0 < places <= reached for places, reached in counts)
    assert peak_scores(np.zeros((20, 20), np.float32)) == (0.0,)


def test_the_same_pairs_get_the_same_decisions_with_limits(tmp_path: Path) -> None:
    simulator = PairSimulator.compose("pattern=routing", "defect=basic", "imaging.image_size=128", "pair.shift=[0,0.1]")
    words = ["good", "bridge", "good", "gap"] * 3
    pairs = [simulator.sample(index, word, seed=4) for index, word in enumerate(words)]
    found = [Inspector(network=None).inspect(pair.image.image, pair.reference) for pair in pairs]
    chosen = choose_limits(label_inspections(found, words), false_places=0.6, max_escape=0.45)
    # the second ones lie further apart than such pairs need, so that all three decisions occur
    for limits in (chosen, dataclasses.replace(chosen, good_below=5.0, defect_from=9.0)):
        limits.save(tmp_path / "limits.json")
        inspector = Inspector(network=None, limits=tmp_path / "limits.json")
        again = [inspector.inspect(pair.image.image, pair.reference) for pair in pairs]
        assert [each.peaks for each in again] == [each.peaks for each in found]  # whatever the limits are
        decided = [(each.decision, each.reason) for each in again]
        assert decided == [("unsure", e.reason) if e.highest is None else limits.decide(e.highest) for e in found]
        assert all(bool(e.places) == (e.decision == "defect" or e.reason == BETWEEN) for e in again)
        if limits is chosen:
            rates = evaluate_inspections(label_inspections(again, words))
            assert (rates.overkill.events, rates.escape.events) == (chosen.overkill, chosen.escapes)
    assert {decision for decision, _ in decided} == {"good", "defect", "unsure"}
