"""`inv deploy.logs`: the latest lines of a service, whichever container wrote them."""

from djup.deploy.service_logs import last, parse

SAID = """\
2026-11-28T10:00:03.000000000Z shop_web.1.aaaaaaaaaaaa@one    | third
2026-11-28T10:00:05.000000000Z shop_web.1.aaaaaaaaaaaa@one    | fifth
warning: incomplete log stream. some logs could not be retrieved
2026-11-28T10:00:01.000000000Z shop_web.2.bbbbbbbbbbbb@two    | first | with a bar
2026-11-28T10:00:04.000000000Z shop_web.2.bbbbbbbbbbbb@two    | fourth
2026-11-28T10:00:02.000000000Z shop_web.2.cccccccccccc@two    | of one that has ended
2026-11-28T10:00:06.000000000Z shop_proxy.node1.dddddddddddd@one    |
"""
RUNNING = {"aaaaaaaaaaaa0123456789012", "bbbbbbbbbbbb0123456789012"}


def texts(tasks: set[str], count: int) -> list[str]:
    return [line.text.partition("| ")[2] for line in last(parse(SAID), tasks, count)]


def test_the_last_by_time_of_those_that_run() -> None:
    assert texts(RUNNING, 3) == ["third", "fourth", "fifth"]
    assert texts(RUNNING, 100) == ["first | with a bar", "third", "fourth", "fifth"]


def test_ended_ones_on_request() -> None:
    assert texts(set(), 5)[0] == "of one that has ended"


def test_none_at_all() -> None:
    assert texts(RUNNING, 0) == []


def test_an_empty_line_and_what_docker_says() -> None:
    lines = parse(SAID)
    assert len(lines) == 6 and lines[-1].text == "shop_proxy.node1.dddddddddddd@one    |"
