"""CD errors: widths of features and spaces, measured minus drawn."""

from pathlib import Path

import numpy as np
import pytest
from made_up_designs import VIEW, expose, write_layout

from sem_lightning.inspection.design import open_design
from sem_lightning.inspection.design.critical_dimension import measure_widths
from sem_lightning.inspection.design.edge_placement import Edges
from sem_lightning.inspection.inspection import EdgePlacement
from sem_lightning.inspection.inspector import Inspector
from sem_lightning.io.gray_image import GrayImage

PITCH, WIDER = 80.0, 4
WIDTHS = (24.0, 30.0, 36.0, 40.0, 44.0, 30.0, 24.0, 36.0, 50.0, 30.0, 26.0, 34.0)  # nm


def draw_lines(widths: tuple[float, ...]) -> tuple[tuple[tuple[float, float], ...], ...]:
    middles = [(number - (len(widths) - 1) / 2) * PITCH for number in range(len(widths))]
    return tuple(
        ((x - cd / 2, -450.0), (x + cd / 2, -450.0), (x + cd / 2, 450.0), (x - cd / 2, 450.0))
        for x, cd in zip(middles, widths, strict=True)
    )


def make_bar(turn: float) -> tuple[np.ndarray, Edges]:
    """Distances from a bar of 20 x 70 pixels, turned by an angle, whose edges lie 1 and 3 pixels outside as drawn."""
    y, x = np.mgrid[-60:60.0, -60:60.0]
    across, along = (x * np.cos(turn) + y * np.sin(turn)), (y * np.cos(turn) - x * np.sin(turn))
    out = np.stack([np.abs(across) - 10, np.abs(along) - 35])
    phi = -(np.hypot(*np.maximum(out, 0)) + np.minimum(out.max(axis=0), 0))
    chosen = np.abs(phi) < 0.5
    on_side = out[0][chosen] > out[1][chosen]
    inwards = np.where(
        on_side[:, None],
        -np.sign(across[chosen])[:, None] * (np.cos(turn), np.sin(turn)),
        -np.sign(along[chosen])[:, None] * (-np.sin(turn), np.cos(turn)),
    )
    points = np.column_stack([x[chosen], y[chosen]]) + 60 - phi[chosen][:, None] * inwards
    displacements = np.where(on_side, np.where(across[chosen] > 0, 1.0, 3.0), 0.5)
    return phi.astype(np.float32), Edges(points, inwards, displacements)


@pytest.mark.parametrize("turn", [0.0, 0.4])
def test_facing_edges_of_a_bar(turn: float) -> None:
    phi, edges = make_bar(turn)
    widths, errors = measure_widths(phi, edges, 2.0, 1)
    sides = edges.displacements != 0.5
    assert np.isfinite(errors[sides]).mean() > 0.7
    assert np.nanmax(np.abs(widths[sides] - 20)) < 0.3 and np.nanmax(np.abs(errors[sides] - 4)) < 1e-9
    # the ends face each other too; beside the corners neither is measured
    ends = np.isfinite(errors) & ~sides
    assert 2 < ends.sum() < 30 and np.abs(widths[ends] - 70).max() < 0.5 and np.abs(errors[ends] - 1).max() < 1e-9
    assert not np.isfinite(measure_widths(phi, edges, 2.0, -1)[1]).any()  # no space lies between two edges
    spaces, narrower = measure_widths(-phi, Edges(edges.points, -edges.inwards, edges.displacements), 2.0, -1)
    assert np.nanmax(np.abs(spaces[sides] - 20)) < 0.3 and np.nanmax(np.abs(narrower[sides] + 4)) < 1e-9


def measure(tmp_path: Path, bias: float, printed: tuple[float, ...] = WIDTHS) -> EdgePlacement:
    image = expose(draw_lines(printed), bias, bloom=0.0)
    design = open_design(write_layout(tmp_path / "lines.gds", draw_lines(WIDTHS)), "10/0")
    found = Inspector(network=None).inspect_design(GrayImage(image, pixel_size=VIEW.pixel_size), design)
    assert found.reason is None and found.edges is not None and found.edges.unit == "nm"
    return found.edges


@pytest.mark.parametrize("bias", [3.0, -3.0])
def test_lines_printed_larger_and_smaller(tmp_path: Path, bias: float) -> None:
    """An edge displaced by 3 nm on both sides is a CD error of 6 nm, and of -6 nm of the space; a pixel is 2 nm."""
    edges = measure(tmp_path, bias)
    assert edges.cd_errors.mean == pytest.approx(2 * bias, abs=1.6)
    assert edges.space_errors.mean == pytest.approx(-2 * bias, abs=1.6)
    assert edges.cd_errors.three_sigma < 4
    measured = np.isfinite(edges.cd_errors.values)
    assert measured.sum() > 3000
    nearest = np.abs(edges.cds[measured][:, None] - np.unique(WIDTHS)).min(axis=1)
    assert np.quantile(nearest, 0.95) < 0.5
    pitches = edges.cds + edges.spaces
    assert np.nanmedian(pitches) == pytest.approx(PITCH, abs=4)


def test_the_wider_line_is_the_worst(tmp_path: Path) -> None:
    printed = (*WIDTHS[:WIDER], WIDTHS[WIDER] + 8, *WIDTHS[WIDER + 1 :])
    edges = measure(tmp_path, 0.0, printed)
    worst = edges.cd_errors.worst
    assert worst is not None and edges.cd_errors.values[worst] == pytest.approx(8, abs=3)
    assert edges.cds[worst] == pytest.approx(WIDTHS[WIDER], abs=0.5)
    middle = 50 + (WIDER - (len(WIDTHS) - 1) / 2) * PITCH / 1e3
    assert abs(edges.layout[worst][0] - middle) == pytest.approx(WIDTHS[WIDER] / 2e3, abs=1e-3)
