import pytest

from pipeline.contrasts import ACCEPTED, CLASSES, contrast_of, names_gadolinium


@pytest.mark.parametrize(
    ("name", "contrast"),
    [
        ("T1", "T1"),
        ("t1-w", "T1"),
        ("T1_Gd", "T1"),
        ("T1-FLAIR", "T1"),
        ("T2w", "T2"),
        ("flair", "FLAIR"),
        ("T2_FLAIR", "FLAIR"),
        ("T2*", "other"),
        ("T2starw", "other"),
        (" PDw ", "other"),
        ("Otros", "other"),
    ],
)
def test_names_on_disk_map_to_classes(name: str, contrast: str) -> None:
    assert contrast_of(name) == contrast


@pytest.mark.parametrize("name", ["T1c", "t1-ce", "T1_Gd", "T1 post"])
def test_some_names_on_disk_mean_t1_after_contrast_agent(name: str) -> None:
    assert contrast_of(name) == "T1"
    assert names_gadolinium(name)


@pytest.mark.parametrize("name", ["T1", "T1w", "T1-FLAIR", "FLAIRc", "T2", "other"])
def test_all_other_names_say_nothing_of_contrast_agent(name: str) -> None:
    assert not names_gadolinium(name)


def test_every_class_names_itself() -> None:
    assert [contrast_of(name) for name in CLASSES] == list(CLASSES)
    assert set(ACCEPTED) < set(CLASSES)


@pytest.mark.parametrize("name", ["", "T3", "images", "T1T2"])
def test_an_unknown_name_is_refused_with_what_is_allowed(name: str) -> None:
    with pytest.raises(ValueError, match="names no contrast; name the folder") as error:
        contrast_of(name)
    assert "flair" in str(error.value)
    assert repr(name) in str(error.value)
