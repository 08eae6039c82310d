from bench import ours, training
from bench.material import Material
from bench.timing import Effort


def test_the_step_is_measured_alone_fed_and_by_stages(material: Material) -> None:
    rows = training.measure(material.shards, Effort(seconds=0.05, repeats=1))
    found = {row.id: row for row in rows}
    assert set(found) == {"stage.augment", "stage.step", "train.fed"}
    assert all("limit: " in row.detail for row in rows)
    assert found["stage.augment"].value > found["stage.step"].value > 0
    assert found["stage.step"].reach == "-"
    assert found["train.fed"].reach == "≥ 0.97"
    assert found["train.fed"].value > 0


def test_the_measured_step_learns(material: Material) -> None:
    made = ours.training(steps=12)
    held = ours.in_memory(material.shards, count=1)
    losses = [made.learn(next(held)) for _ in range(12)]
    assert made.number == 12
    assert sum(losses[-3:]) < sum(losses[:3])
