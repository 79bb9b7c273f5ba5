from comfylock.workflows.file import parse_document
from comfylock.workflows.model import NotAWorkflow, Workflow
from comfylock.workflows.shapes import Json
from tests.workflows import found, keys, node, ui


def api(**nodes):
    return {key.lstrip("n"): value for key, value in nodes.items()}


def prompt_node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def test_inputs_are_read_by_name():
    document = api(
        n1=prompt_node("CheckpointLoaderSimple", ckpt_name="a.ckpt"),
        n2=prompt_node("LoraLoader", lora_name="b.safetensors", model=["1", 0], clip=["1", 1]),
    )
    assert found(document) == [
        ("1", "ckpt_name", "checkpoints/a.ckpt", True),
        ("2", "lora_name", "loras/b.safetensors", True),
    ]


def test_a_link_is_followed_to_a_selector():
    document = api(
        n1=prompt_node("Name Selector", choice="a.ckpt"),
        n2=prompt_node("CheckpointLoaderSimple", ckpt_name=["1", 0]),
    )
    assert ("2", "ckpt_name", "checkpoints/a.ckpt", True) in found(document)


def test_a_primitives_text_is_told_once_where_it_is_taken():
    document = api(
        n1=prompt_node("PrimitiveString", value="a.ckpt"),
        n2=prompt_node("CheckpointLoaderSimple", ckpt_name=["1", 0]),
        n3=prompt_node("PrimitiveString", value="b.ckpt"),
        n4=prompt_node("MyLoader", file=["3", 0]),
    )
    assert found(document) == [
        ("2", "ckpt_name", "checkpoints/a.ckpt", True),
        ("4", "file", "b.ckpt", True),
    ]


def test_a_loaded_model_that_is_handed_on_is_not_named_again():
    document = api(
        n1=prompt_node("CheckpointLoaderSimple", ckpt_name="a.ckpt"),
        n2=prompt_node("KSampler", model=["1", 0]),
        n3=prompt_node("Somebodys Sampler", model=["1", 0]),
    )
    assert keys(document) == ["checkpoints/a.ckpt"]


def test_a_circle_of_links_ends():
    document = api(
        n1=prompt_node("Reroute", any=["2", 0]),
        n2=prompt_node("Reroute", any=["1", 0]),
        n3=prompt_node("CheckpointLoaderSimple", ckpt_name=["1", 0]),
    )
    assert found(document) == []


def test_lists_wrapped_as_values_are_read():
    rows = {"__value__": [{"name": "a", "active": True, "strength": 1}]}
    assert keys(api(n1=prompt_node("Lora Loader (LoraManager)", loras=rows))) == ["loras/a"]


def test_ids_of_flattened_subgraphs_are_kept():
    document = {"194:45": prompt_node("VAELoader", vae_name="a.pt")}
    assert found(document) == [("194:45", "vae_name", "vae/a.pt", True)]


def test_stray_keys_are_tolerated():
    document = {
        **api(n1=prompt_node("VAELoader", vae_name="a.pt"), n2=prompt_node("KSampler")),
        "version": 1,
    }
    assert keys(document) == ["vae/a.pt"]


def test_graphs_are_found_in_their_wrappers():
    prompt = api(n1=prompt_node("VAELoader", vae_name="a.pt"))
    graph = ui(node(1, "VAELoader", "b.pt"))
    history = {"prompt": [1, "id", prompt, {"extra_pnginfo": {"workflow": graph}}, ["9"]]}
    assert keys({"prompt": prompt}) == ["vae/a.pt"]
    assert keys({"client_id": "x", "prompt": prompt}) == ["vae/a.pt"]
    assert keys({"workflow": graph, "prompt": prompt}) == ["vae/b.pt"]
    assert keys({"workflow": graph, "output": prompt}) == ["vae/b.pt"]
    assert keys({"2f1c": history}) == ["vae/b.pt"]
    assert keys({"extra_data": {"extra_pnginfo": {"workflow": graph}}}) == ["vae/b.pt"]


def test_a_title_under_the_key_of_a_wrapper_is_no_workflow():
    titles: tuple[Json, ...] = (
        {"workflow": "Portraits"},
        {"prompt": "a cat"},
        {"workflow": "{broken"},
    )
    for document in titles:
        assert isinstance(parse_document(document), NotAWorkflow)


def test_other_json_is_no_workflow():
    others: tuple[Json, ...] = (
        [], [{"name": "style"}], {}, "text", 7, None,
        {"nodes": {"t2v": "MiniMax"}}, {"nodes": []}, {"nodes": [1, 2]},
        {"dependencies": {"a": {"class_type": 1}}},
    )  # fmt: skip
    for document in others:
        assert isinstance(parse_document(document), NotAWorkflow)


def test_an_empty_canvas_is_a_workflow_without_nodes():
    assert parse_document({"nodes": [], "links": [], "version": 0.4}) == Workflow(nodes=())
