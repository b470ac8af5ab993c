import json

import pytest

from scheduler.spec import InvalidInput, read_apps


def read(value):
    return read_apps(json.dumps(value).encode())


def test_one_app_is_a_list_of_one():
    assert read({"id": "hello", "cmd": "x"}) == [{"id": "/hello", "cmd": "x"}]


def test_an_array_holds_apps():
    assert [app["id"] for app in read([{"id": "/a"}, {"id": "b"}])] == ["/a", "/b"]


def test_a_group_gives_its_apps_its_path_and_its_dependencies():
    apps = read(
        {
            "id": "/shop",
            "dependencies": ["/db"],
            "apps": [{"id": "web", "dependencies": ["cart"]}],
            "groups": [{"id": "back", "apps": [{"id": "/shop/back/jobs"}]}],
        }
    )
    assert apps == [
        {"id": "/shop/web", "dependencies": ["/shop/cart", "/db"]},
        {"id": "/shop/back/jobs", "dependencies": ["/db"]},
    ]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (3, "/"),
        ([{"id": "/a"}, 4], "/(1)"),
        ([{"cmd": "x"}], "/(0)/id"),
        ({"id": "/g", "apps": {}}, "/apps"),
        ({"id": "/g", "apps": [{"id": 3}]}, "/apps(0)/id"),
        ({"id": "/g", "groups": [{"id": "x", "apps": [[]]}]}, "/groups(0)/apps(0)"),
    ],
)
def test_what_is_no_app_is_named_by_its_path(value, path):
    with pytest.raises(InvalidInput) as refused:
        read(value)
    assert refused.value.problems[0].path == path
