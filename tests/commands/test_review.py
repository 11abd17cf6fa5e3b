"""``sem-review``: a round of learning from what people said; the page has tests of its own."""

import csv
from pathlib import Path

from conftest import Run


def test_a_round_trains_on_the_answers_and_names_the_next_one(run: Run, checkpoint: Path) -> None:
    run("generate", "num_per_class=5", "output=my lot", "imaging.image_size=64", "pattern=line_space")
    imported = run(
        "review", "images=my lot", "output=review", "action=import", "labels=my lot/labels.csv", "reviewer=a"
    )
    assert imported.code == 0, imported.err
    for number in (1, 2):
        done = run("review", "images=my lot", "output=review", "action=round", "device=cpu", f"ckpt={checkpoint}")
        assert done.code == 0, done.err
        best = Path("review") / "rounds" / str(number) / "checkpoints" / "best.ckpt"
        assert f"sem-review 'images=my lot' output=review ckpt={best}" in done.out
        assert (done.folder / best).is_file()
    leaking = run("review", "images=my lot", "output=review", "action=round", f"ckpt={best}")
    assert leaking.code == 1 and "saw images of this round's test" in leaking.err
    with (done.folder / "review" / "labels.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 15


def test_a_round_without_answers_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lot").mkdir()
    done = run("review", "images=lot", "output=review", "action=round")
    assert done.code == 1 and "review images first" in done.err
    assert not (tmp_path / "review" / "rounds").exists()
