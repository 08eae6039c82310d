from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.augment import AugmentConfig
from pipeline.augment_sheet import SheetConfig, draw, rows

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "augmentation.png"


def test_the_picture_in_the_documentation_is_what_augmentation_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sheet.png"
    draw(SheetConfig(out))
    assert f"written: {out}" in capsys.readouterr().out
    drawn = np.asarray(Image.open(out)).astype(int)
    shown = np.asarray(Image.open(PICTURE)).astype(int)
    # Another processor rounds differently; other augmentation moves whole edges.
    assert np.abs(drawn - shown).mean() < 0.05


def test_each_row_changes_one_thing_and_the_same_draw_is_in_all() -> None:
    picture = np.zeros((2, 150, 150), np.uint8)
    picture[:, 40:110, 50:90] = 150
    sheet = {
        title: np.stack(row).astype(int)
        for title, row in rows(picture, AugmentConfig(noise=0.1, blur=1.0), 3).items()
    }
    assert np.array_equal(sheet["as stored"], picture)
    turned = sheet["quarter turns and flips"]
    assert sorted(np.unique(turned)) == [0, 150]
    noisy = sheet["noise"] - turned
    assert noisy.std() > 2
    assert (noisy[turned == 0] >= 0).all()
    blurred = np.abs(sheet["blur or sharpen"] - turned)
    assert (blurred > 5).mean() < 0.2
    assert blurred.max() > 20
    inside = turned == 150
    for smooth in ("bias field", "gamma and gain"):
        changed = sheet[smooth]
        assert (changed[turned == 0] <= 1).all()
        assert changed[inside].std() > 0.5 or np.unique(changed[inside]).size <= 4
        assert not np.array_equal(changed, turned)
