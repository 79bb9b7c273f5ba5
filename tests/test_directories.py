"""Where ComfyUI looks for models, by its own rules, and where comfylock places them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comfylock.directories import (
    MAX_YAML_BYTES,
    ExtraPath,
    ModelDirectories,
    find_models_dirs,
    is_checkout,
    open_directories,
    read_extra_model_paths,
)
from comfylock.errors import (
    ComfylockError,
    ConfigInvalidError,
    ModelsDirMissingError,
    PathMissingError,
)

M = Path("/m")


def checkout(path: Path) -> Path:
    (path / "models").mkdir(parents=True)
    (path / "main.py").touch()
    (path / "folder_paths.py").touch()
    return path


def extra(folder: str, directory: str, *, is_default: bool = False) -> ExtraPath:
    return ExtraPath(folder=folder, directory=Path(directory), is_default=is_default)


@pytest.fixture
def yaml(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "extra_model_paths.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("loras", ["/m/loras"]),
        ("text_encoders", ["/m/text_encoders", "/m/clip"]),
        ("clip", ["/m/text_encoders", "/m/clip"]),
        ("diffusion_models", ["/m/unet", "/m/diffusion_models"]),
        ("unet", ["/m/unet", "/m/diffusion_models"]),
        ("controlnet", ["/m/controlnet", "/m/t2i_adapter"]),
        ("ultralytics", ["/m/ultralytics"]),
    ],
)
def test_folders_have_their_directories_in_the_order_of_comfyui(folder, expected):
    assert ModelDirectories(primary=M).directories(folder) == tuple(map(Path, expected))


def test_every_models_folder_and_extra_path_is_searched_in_order():
    directories = ModelDirectories(
        primary=M,
        others=(Path("/n"),),
        extra=(
            extra("loras", "/x"),
            extra("vae", "/y"),
            extra("loras", "/m/loras"),
            extra("loras", "/first", is_default=True),
            extra("loras", "/second", is_default=True),
            extra("loras", "/x", is_default=True),
        ),
        output=Path("/out"),
    )
    assert [str(path) for path in directories.directories("loras")] == [
        "/x",
        "/second",
        "/first",
        "/m/loras",
        "/n/loras",
        "/out/loras",
    ]
    assert directories.directories("text_encoders")[-1] == Path("/out/clip")


def test_roots_hold_every_directory_of_models_and_no_others():
    directories = ModelDirectories(
        primary=M,
        others=(Path("/n"), M),
        extra=(extra("loras", "/x"), extra("vae", "/x"), extra("custom_nodes", "/code")),
        output=Path("/out"),
    )
    roots = directories.roots()
    assert roots[:3] == (M, Path("/n"), Path("/x"))
    assert Path("/out/loras") in roots
    assert Path("/code") not in roots
    for folder in ("loras", "vae", "diffusion_models", "text_encoders", "checkpoints"):
        for directory in directories.directories(folder):
            assert any(directory.is_relative_to(root) for root in roots)


def test_new_files_go_below_the_primary_folder_even_where_an_extra_path_is_default(tmp_path):
    directories = ModelDirectories(
        primary=tmp_path, extra=(extra("loras", "/share", is_default=True),)
    )
    assert directories.target("loras") == tmp_path / "loras"


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([], "diffusion_models"),
        (["unet"], "unet"),
        (["unet", "diffusion_models"], "diffusion_models"),
    ],
)
def test_legacy_directory_is_written_to_only_where_it_alone_exists(tmp_path, there, expected):
    for name in there:
        (tmp_path / name).mkdir()
    directories = ModelDirectories(primary=tmp_path)
    assert directories.target("unet") == tmp_path / expected
    (tmp_path / "diffusion_models").mkdir(exist_ok=True)
    assert directories.target("diffusion_models") == tmp_path / expected


def test_adapter_directory_is_never_written_to(tmp_path):
    """It is a second directory of controlnet, not an older name of it."""
    (tmp_path / "t2i_adapter").mkdir()
    assert ModelDirectories(primary=tmp_path).target("controlnet") == tmp_path / "controlnet"


def test_first_place_that_names_a_models_folder_counts(tmp_path):
    names = ("flag", "variable", "config", "around/models")
    flag, variable, config, around = (tmp_path / name for name in names)
    checkout(around.parent)
    for path in (flag, variable, config):
        path.mkdir()
    start = around.parent / "a" / "b"
    env = {"COMFYLOCK_MODELS_DIR": str(variable), "COMFYUI_PATH": str(around.parent)}
    assert find_models_dirs([flag], env, [config], start) == (flag,)
    assert find_models_dirs([], env, [config], start) == (variable,)
    assert find_models_dirs([], {"COMFYLOCK_MODELS_DIR": ""}, [config], start) == (config,)
    assert find_models_dirs([], {"COMFYUI_PATH": str(around.parent)}, [], M) == (around,)
    assert find_models_dirs([], {}, [], start) == (around,)


def test_several_models_folders_keep_their_order(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    a, b = tmp_path / "a", tmp_path / "b"
    assert find_models_dirs([b, a, b], {}, [], M) == (b, a)
    assert find_models_dirs([], {"COMFYLOCK_MODELS_DIR": f"{b}:{a}"}, [], M) == (b, a)


@pytest.mark.parametrize("name", ["ComfyUI", "comfyui-dev", "ComfyUI_portable/ComfyUI"])
def test_checkout_beside_the_workflows_or_above_them_is_found(tmp_path, name):
    found = checkout(tmp_path / "ai" / name) / "models"
    for start in ("ai", "ai/flows", "ai/flows/sdxl/wip"):
        (tmp_path / start).mkdir(parents=True, exist_ok=True)
        assert find_models_dirs([], {}, [], tmp_path / start) == (found,)


def test_enclosing_checkout_counts_before_one_beside(tmp_path):
    outer = checkout(tmp_path / "outer")
    checkout(outer / "user" / "ComfyUI")
    (outer / "user" / "flows").mkdir()
    assert find_models_dirs([], {}, [], outer / "user" / "flows") == (outer / "models",)


def base_directory(path: Path) -> Path:
    """What ComfyUI Desktop makes, and what `--base-directory` is given."""
    for name in ("models", "custom_nodes", "input", "output", "user/default/workflows"):
        (path / name).mkdir(parents=True)
    return path


def test_a_base_directory_around_or_beside_the_workflows_is_found(tmp_path):
    base = base_directory(tmp_path / "Documents" / "ComfyUI")
    (tmp_path / "Documents" / "flows").mkdir()
    for start in (base / "user" / "default" / "workflows", tmp_path / "Documents" / "flows"):
        assert find_models_dirs([], {}, [], start) == (base / "models",)
    assert open_directories([base / "models"], []).output == base / "output"


def test_a_checkout_counts_before_a_base_directory_that_does_not_enclose_the_workflows(tmp_path):
    base = base_directory(tmp_path / "ComfyUI-data")
    source = checkout(tmp_path / "ComfyUI")
    assert find_models_dirs([], {}, [], tmp_path) == (source / "models",)
    assert find_models_dirs([], {}, [], base / "user") == (base / "models",)


def test_two_checkouts_side_by_side_are_a_question(tmp_path):
    checkout(tmp_path / "ComfyUI")
    checkout(tmp_path / "comfyui-old")
    with pytest.raises(ModelsDirMissingError, match=r"several ComfyUI folders: .*ComfyUI, .*-old"):
        find_models_dirs([], {}, [], tmp_path)


def test_checkout_that_anyone_could_have_planted_is_passed_over(tmp_path):
    (tmp_path / "flows").mkdir()
    checkout(tmp_path / "ComfyUI")
    tmp_path.chmod(0o777)
    with pytest.raises(ModelsDirMissingError):
        find_models_dirs([], {}, [], tmp_path / "flows")


@pytest.mark.parametrize("lacking", ["models", "main.py", "folder_paths.py"])
def test_folder_without_one_of_its_parts_is_no_checkout(tmp_path, lacking):
    path = checkout(tmp_path / "ComfyUI")
    assert is_checkout(path)
    (path / lacking).rename(path / "moved")
    assert not is_checkout(path)


def test_no_models_folder_at_all_is_told_with_the_flag_that_helps(tmp_path):
    with pytest.raises(ModelsDirMissingError, match="no ComfyUI models folder") as caught:
        find_models_dirs([], {}, [], tmp_path)
    assert "--models-dir" in (caught.value.hint or "")
    assert caught.value.exit_code == 2


def test_named_folder_that_is_missing_is_named_with_who_named_it(tmp_path):
    gone, file = tmp_path / "gone", tmp_path / "file"
    file.touch()
    for flags, env, configured, origin in (
        ([gone], {}, [], "--models-dir"),
        ([], {"COMFYLOCK_MODELS_DIR": str(gone)}, [], "COMFYLOCK_MODELS_DIR"),
        ([], {}, [gone], r"models-dirs in your config\.toml"),
    ):
        with pytest.raises(ModelsDirMissingError, match=rf"gone is not there \(named by {origin}"):
            find_models_dirs(flags, env, configured, tmp_path)
    with pytest.raises(ModelsDirMissingError, match="gone/models is not there"):
        find_models_dirs([], {"COMFYUI_PATH": str(gone)}, [], tmp_path)
    with pytest.raises(ModelsDirMissingError, match="file is not a folder"):
        find_models_dirs([file], {}, [], tmp_path)


def test_comfyui_folder_may_be_named_for_the_models_folder_in_it(tmp_path):
    source = checkout(tmp_path / "source")
    base = tmp_path / "desktop"
    for name in ("models", "custom_nodes"):
        (base / name).mkdir(parents=True)
    assert find_models_dirs([source, base], {}, [], M) == (source / "models", base / "models")


def test_models_folder_with_a_folder_of_that_name_in_it_is_itself(tmp_path):
    (tmp_path / "models").mkdir()
    assert find_models_dirs([tmp_path], {}, [], M) == (tmp_path,)


def test_paths_of_comfyuis_example_are_read_as_comfyui_does(yaml, tmp_path):
    path = yaml(
        """
comfyui:
    base_path: sub/../share
    is_default: true
    checkpoints: models/checkpoints/
    text_encoders: |
        models/text_encoders/
        models/clip/  # older name
    unet: /abs/unet
skipped:
plain:
    loras: here/loras
    is_default: "false"
other:
    is_default: false
    clip: ../up
"""
    )
    share = tmp_path / "share" / "models"
    assert read_extra_model_paths(path) == (
        ExtraPath(folder="checkpoints", directory=share / "checkpoints", is_default=True),
        ExtraPath(folder="text_encoders", directory=share / "text_encoders", is_default=True),
        ExtraPath(folder="text_encoders", directory=share / "clip/  # older name", is_default=True),
        extra("diffusion_models", "/abs/unet", is_default=True),
        ExtraPath(folder="loras", directory=tmp_path / "here/loras", is_default=True),
        ExtraPath(folder="text_encoders", directory=tmp_path.parent / "up", is_default=False),
    )


def test_base_path_alone_is_expanded(yaml, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SHARE", "/srv")
    path = yaml("a: {base_path: ~/x, vae: $SHARE}\nb: {base_path: $SHARE/y, vae: ~/z}\n")
    assert [str(found.directory) for found in read_extra_model_paths(path)] == [
        "/home/me/x/$SHARE",
        "/srv/y/~/z",
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "a:\n", "a: {}\n"])
def test_file_without_paths_has_none(yaml, text):
    assert read_extra_model_paths(yaml(text)) == ()


BOMB = "a0: &a0 {k: v}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {loras: [x, y]}", r"yaml: a\.loras: expected a path, found a list"),
        ("a: {loras: }", r"yaml: a\.loras: expected a path, found no text"),
        ("a: {loras: 5}", r"yaml: a\.loras: expected a path, found no text"),
        ("a: {base_path: , loras: x}", r"yaml: a\.base_path: expected a path"),
        ('a: {loras: "x\\0y"}', r"yaml: a\.loras: expected a path"),
        ("a: text", "yaml: a: expected folders and paths"),
        ("- a", "expected sections such as comfyui:"),
        ("a: {", "line 1: the text is not valid YAML"),
        ("a: !!python/object/apply:os.system [true]", "line 1: the text is not valid YAML"),
        ("a: 2020-99-99", "a value cannot be read"),
        ("a: " + "[" * 5_000, "nested too deeply, or too many aliases"),
        (BOMB, "nested too deeply, or too many aliases"),
        ("\x00", "the text is not valid YAML"),
    ],
)
def test_file_that_comfyui_would_stop_at_is_refused_naming_the_place(yaml, text, message):
    with pytest.raises(ConfigInvalidError, match=message):
        read_extra_model_paths(yaml(text))


def test_large_foreign_and_missing_files_are_refused(tmp_path):
    path = tmp_path / "paths.yaml"
    with pytest.raises(PathMissingError, match=r"no file .*paths\.yaml"):
        read_extra_model_paths(path)
    path.write_bytes(b"#" * (MAX_YAML_BYTES + 1))
    with pytest.raises(ConfigInvalidError, match="has more than 262144 bytes"):
        read_extra_model_paths(path)
    path.write_bytes(b"a: \xff")
    with pytest.raises(ConfigInvalidError, match="is not UTF-8"):
        read_extra_model_paths(path)
    with pytest.raises(ConfigInvalidError, match="cannot be read"):
        read_extra_model_paths(tmp_path)


YAML_PARTS = ("a:", " b:", "\n", "&x ", "*x", "[", "{", "<<: ", "|", "1")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(max_size=40) | st.lists(st.sampled_from(YAML_PARTS)).map("".join))
def test_any_text_gives_paths_or_our_error(tmp_path, text):
    path = tmp_path / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        found = read_extra_model_paths(path)
    except ComfylockError:
        return
    assert all(line.directory.is_absolute() for line in found)


def test_file_beside_the_checkout_is_read_before_those_that_the_user_names(tmp_path):
    source = checkout(tmp_path / "ComfyUI")
    (source / "extra_model_paths.yaml").write_text("a: {loras: own}", encoding="utf-8")
    (tmp_path / "more.yaml").write_text("a: {loras: more}", encoding="utf-8")
    directories = open_directories([source / "models", M], [tmp_path / "more.yaml"])
    assert directories == ModelDirectories(
        primary=source / "models",
        others=(M,),
        extra=(extra("loras", str(source / "own")), extra("loras", str(tmp_path / "more"))),
        output=source / "output",
    )


def test_file_beside_a_models_folder_outside_of_a_checkout_is_read_too(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "extra_model_paths.yaml").write_text("a: {loras: own}", encoding="utf-8")
    assert open_directories([tmp_path / "models"], []) == ModelDirectories(
        primary=tmp_path / "models", extra=(extra("loras", str(tmp_path / "own")),)
    )
