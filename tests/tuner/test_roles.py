import pytest

from tuner.roles import ORACLE_IP, ORACLE_PORT, TUNER_ID, Role, role

PLACE = {ORACLE_IP: "127.0.0.1", ORACLE_PORT: "8000"}


def test_without_variables_a_search_is_a_single_process():
    assert role({}) == Role("single", "tuner0")


def test_chief_and_workers_are_told_apart_by_name():
    assert role({**PLACE, TUNER_ID: "chief"}) == Role("chief", "chief")
    assert role({**PLACE, TUNER_ID: "worker-12"}) == Role("worker", "worker-12")


@pytest.mark.parametrize(
    "name", ["tuner-chief-worker-0", "chief-0", "worker-0-of-chief", "tuner0", "../up"]
)
def test_names_that_kerastuner_would_take_for_another_part_are_refused(name: str):
    with pytest.raises(ValueError, match="must be 'chief' or a worker's name"):
        role({**PLACE, TUNER_ID: name})


@pytest.mark.parametrize("missing", [TUNER_ID, ORACLE_IP, ORACLE_PORT])
def test_a_part_of_the_variables_is_refused(missing: str):
    given = {**PLACE, TUNER_ID: "worker-0", missing: ""}
    with pytest.raises(ValueError, match=f"^{missing} must be set besides"):
        role(given)


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_what_is_no_port_is_refused(port: str):
    with pytest.raises(ValueError, match=f"{ORACLE_PORT} must be from 1 to 65535"):
        role({ORACLE_IP: "127.0.0.1", ORACLE_PORT: port, TUNER_ID: "chief"})
