import pytest

from comfylock.errors import PathMissingError
from comfylock.workflows.find import find_workflow_files
from tests.workflows import write


@pytest.fixture
def tree(tmp_path):
    for name in (
        "a.json", "wf/b.json", "wf/deep/c.JSON", "wf/note.txt", "wf/.hidden/x.json",
        ".git/x.json", "node_modules/x.json", ".comfylock/x.json", "wf/[new] d.json",
    ):  # fmt: skip
        write(tmp_path / name, "{}")
    return tmp_path


def names(tree, *inputs, exclude=()):
    found = find_workflow_files(inputs, tree, exclude)
    return [path.relative_to(tree).as_posix() for path in found]


def test_a_folder_is_searched_to_the_bottom_without_hidden_and_foreign_folders(tree):
    assert names(tree, ".") == ["a.json", "wf/[new] d.json", "wf/b.json", "wf/deep/c.JSON"]


def test_files_are_sorted_and_named_once_whatever_names_them(tree):
    assert names(tree, "wf", "wf/b.json", "./wf/../wf/b.json", "a.json", "wf/*.json") == [
        "a.json", "wf/[new] d.json", "wf/b.json", "wf/deep/c.JSON",
    ]  # fmt: skip


def test_a_named_file_is_taken_whatever_its_suffix(tree):
    assert names(tree, "wf/note.txt") == ["wf/note.txt"]


def test_globs_pass_folders_only_with_two_stars(tree):
    assert names(tree, "wf/*") == ["wf/[new] d.json", "wf/b.json", "wf/deep/c.JSON"]
    assert names(tree, "*.json") == ["a.json"]
    assert names(tree, "**/c.*") == ["wf/deep/c.JSON"]
    assert names(tree, "w?/[ab].json") == ["wf/b.json"]
    assert names(tree, "w?/[!a].json") == ["wf/b.json"]


def test_brackets_in_a_name_that_exists_are_no_glob(tree):
    assert names(tree, "wf/[new] d.json") == ["wf/[new] d.json"]


def test_excluded_folders_and_files_are_left_out(tree):
    assert names(tree, ".", exclude=["wf/deep/**"]) == ["a.json", "wf/[new] d.json", "wf/b.json"]
    assert names(tree, "**/*.json", exclude=["wf"]) == ["a.json"]
    assert names(tree, ".", exclude=["**/b.json", "*.json", "wf/[[]*"]) == ["wf/deep/c.JSON"]


def test_a_file_that_is_named_itself_is_not_hidden_by_exclude(tree):
    assert names(tree, "a.json", exclude=["**"]) == ["a.json"]


@pytest.mark.parametrize("name", ["gone.json", "gone/", "gone/*.json", "wf/*.png", "[z-a].json"])
def test_an_input_that_names_nothing_is_told(tree, name):
    with pytest.raises(PathMissingError) as caught:
        names(tree, "a.json", name)
    assert caught.value.ref == name
    assert caught.value.hint


def test_an_empty_folder_is_no_error(tree):
    (tree / "empty").mkdir()
    assert names(tree, "empty") == []


def test_links_to_folders_are_followed_once(tree):
    (tree / "wf" / "loop").symlink_to(tree / "wf", target_is_directory=True)
    (tree / "linked").symlink_to(tree / "wf" / "deep", target_is_directory=True)
    assert names(tree, "wf") == ["wf/[new] d.json", "wf/b.json", "wf/deep/c.JSON"]
    assert names(tree, "linked") == ["linked/c.JSON"]


def test_absolute_inputs_and_inputs_above_the_base_are_taken(tree):
    assert find_workflow_files([str(tree / "a.json")], tree / "wf") == (tree / "a.json",)
    assert find_workflow_files(["../a.json"], tree / "wf") == (tree / "a.json",)
