"""Workflows made to be slow: the work grows with their size, and not with its square."""

import json
import sys

import pytest

from comfylock.errors import WorkflowInvalidError
from comfylock.folders import load_node_table
from comfylock.reading import read_inputs
from comfylock.references import MAX_MENTIONS, collect_references
from comfylock.workflows.file import parse_document
from comfylock.workflows.model import Workflow
from tests.workflows import inner_link, link, node, slot, subgraph, ui, write

TABLE = load_node_table()
VAE = "VAELoader"


def takers(count, first=10):
    """Loaders with a linked widget each; the links have the loaders' ids."""
    return [
        node(first + n, VAE, "a.pt", inputs=[slot("vae_name", first + n)]) for n in range(count)
    ]


def links_from(origin, count, first=10):
    return [link(first + n, origin, 0, first + n, 0) for n in range(count)]


def one_large_source(size):
    source = node(1, "Chooser", *(f"text {n}" for n in range(size)))
    return ui(source, *takers(size), links=links_from(1, size))


def one_long_way(size):
    way = [
        node(1000 + n, "Reroute", inputs=[{"name": "", "type": "*", "link": 1000 + n}])
        for n in range(size // 6)
    ]
    between = [link(1001 + n, 1000 + n, 0, 1001 + n, 0) for n in range(size // 6)]
    last = 1000 + size // 6 - 1
    return ui(*way, *takers(size, 3000), links=[*between, *links_from(last, size, 3000)])


def one_large_switch(size):
    slots = [{"name": f"any_{n}", "type": "*", "link": None} for n in range(size)]
    switch = node(1, "Any Switch (rgthree)", inputs=slots)
    return ui(switch, *takers(size), links=links_from(1, size))


def one_subgraph_with_an_output(size):
    proxies = [["3", "vae_name"]] * size
    inside = subgraph(
        "sub",
        [node(3, "PrimitiveString", "x.pt")],
        links=[inner_link(1, 3, 0, -20, 0)],
        outputs=["name"],
    )
    instance = node(1, "sub", *["v.pt"] * size, properties={"proxyWidgets": proxies})
    return ui(instance, *takers(size), links=links_from(1, size), subgraphs=[inside])


def many_inputs_into_one_node(size):
    names = [f"i{n}" for n in range(size)]
    inner = node(3, "Wide", inputs=[slot(name, n) for n, name in enumerate(names)])
    inside = subgraph(
        "sub", [inner], links=[inner_link(n, -10, n, 3, n) for n in range(size)], inputs=names
    )
    instance = node(1, "sub", *names, inputs=[slot(name) for name in names])
    proxies = {"proxyWidgets": [["3", name] for name in names]}
    return ui(instance, node(2, "sub", *names, properties=proxies), subgraphs=[inside])


def many_proxies_through_two_instances(size):
    labels = [f"w{n}" for n in range(size)]
    inside = subgraph("in", [node(3, "Wide")])
    middle = node(20, "in", properties={"proxyWidgets": [["3", name] for name in labels]})
    outer = subgraph("out", [middle])
    told = [["20", name, str(n)] for n, name in enumerate(labels)]
    instance = node(1, "out", *labels, properties={"proxyWidgets": told})
    return ui(instance, subgraphs=[outer, inside])


def many_declarations_of_one_name(size):
    told = [{"name": "a.pt", "url": f"https://x.test/{n}"} for n in range(size)]
    return ui(*(node(n, VAE, "a.pt") for n in range(size)), models=told)


def many_links_into_a_group(size):
    group = {"nodes": [{"type": f"T{n}", "widgets_values": []} for n in range(size)], "links": []}
    instance = node(1, "workflow>G", inputs=[slot(f"i{n}", n) for n in range(size)])
    source = node(2, "PrimitiveNode", "x.pt")
    return ui(
        source, instance, links=[link(n, 2, 0, 1, n) for n in range(size)], groups={"G": group}
    )


def a_group_that_is_hard_to_deal(size):
    hidden = {"input": {"w": {"visible": False}}}
    group = {
        "nodes": [{"type": "T", "widgets_values": [1] * size}],
        "links": [],
        "config": {"0": hidden},
    }
    return ui(node(1, "workflow>G", *[1] * (size - 2), "x"), groups={"G": group})


def calls(document):
    """How many calls of functions it takes to read a document."""
    count = 0

    def tick(_frame, event, _argument):
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(tick)
    try:
        workflow = parse_document(document)
        assert isinstance(workflow, Workflow)
        collect_references(workflow, "w.json", TABLE)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "build",
    [
        one_large_source,
        one_long_way,
        one_large_switch,
        one_subgraph_with_an_output,
        many_inputs_into_one_node,
        many_proxies_through_two_instances,
        many_declarations_of_one_name,
        many_links_into_a_group,
        a_group_that_is_hard_to_deal,
    ],
)
def test_twice_the_size_is_about_twice_the_work(build):
    calls(build(10))
    assert calls(build(1000)) < 2.5 * calls(build(500))


def test_a_workflow_that_names_models_without_end_is_refused_and_spoils_no_other(tmp_path):
    many = ui(node(1, "Unknown", *(f"{n}.pt" for n in range(MAX_MENTIONS + 1))))
    workflow = parse_document(many)
    assert isinstance(workflow, Workflow)
    with pytest.raises(WorkflowInvalidError, match=f"more than {MAX_MENTIONS} places"):
        collect_references(workflow, "many.json", TABLE)

    write(tmp_path / "many.json", json.dumps(many))
    write(tmp_path / "good.json", json.dumps(ui(node(1, VAE, "a.pt"))))
    reading = read_inputs(["."], tmp_path, (), TABLE)
    assert list(reading.references) == ["good.json"]
    (broken,) = reading.broken
    assert (broken.slug, broken.ref) == ("workflow-invalid", "many.json")
    assert "many.json: it names models in more than" in broken.message
