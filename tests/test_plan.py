"""Lock and inventory in, plan out: the rules one by one, and laws over all of them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfylock.actions import (
    Action,
    Blocked,
    Download,
    Keep,
    Link,
    Plan,
    Remove,
    Replace,
    bytes_of,
    filling_of,
    name_of,
    target_of,
)
from comfylock.artifacts import (
    CivitaiSource,
    FileId,
    HuggingFaceSource,
    ModelId,
    Source,
    UrlSource,
    VersionId,
)
from comfylock.hashes import Digests
from comfylock.inventory import Content, FileStat, Inventory, LocalFile, Obstacle, Spare, Spot
from comfylock.lengths import correction, link_in, linked_instead, may_lie_elsewhere, refusal
from comfylock.lockfile.model import Evidence, Pin
from comfylock.plan import OnOccupied, Policy, make_plan
from comfylock.settings import Formats, LinkMode

MODELS = Path("/models")
DISK, OTHER_DISK = 1, 2
CIVITAI = CivitaiSource(model=ModelId(1), version=VersionId(2), file=FileId(3))
#: A hub that knows the sizes of its files; Civitai's are the uploader's word.
EXACT = (HuggingFaceSource(repo="a/b", revision="f" * 40, file="x"),)


def digests(content: str) -> Digests:
    return Digests(sha256=(content.encode().hex() * 64)[:64])


def pin(name: str, content: str = "", **changes: Any) -> Pin:
    made = Pin(
        key=name if "/" in name else f"loras/{name}",
        size=100,
        digests=digests(content or name),
        evidence=Evidence.HASH,
        sources=(CIVITAI,),
    )
    return replace(made, **changes)


def local(path: Path, content: str, *, placed: bool = False) -> LocalFile:
    return LocalFile(
        path=path,
        stat=FileStat(100, 1, hash(path) % 1000, 1),
        digests=digests(content),
        placed=placed,
    )


def inventory(
    pins: Iterable[Pin],
    found: Mapping[str, Content] | None = None,
    spares: Iterable[tuple[str, str]] = (),
    free: Mapping[int, int] | None = None,
    disks: Mapping[str, int] | None = None,
    parts: Mapping[str, int] | None = None,
) -> Inventory:
    return Inventory(
        spots={
            one.key: Spot(
                key=one.key,
                target=MODELS / one.key,
                found=(found or {}).get(one.key),
                file_system=(disks or {}).get(one.key, DISK),
            )
            for one in pins
        },
        spares=tuple(
            Spare(file=local(MODELS / path, content), file_system=DISK) for path, content in spares
        ),
        partial_bytes=dict(parts or {}),
        free_bytes={DISK: 10**9, OTHER_DISK: 10**9} if free is None else free,
    )


def plan_of(*pins: Pin, policy: Policy | None = None, **world: Any) -> tuple[Action, ...]:
    return make_plan(pins, inventory(pins, **world), policy or Policy()).actions


def slug(action: Action) -> str:
    assert isinstance(action, Blocked), action
    return action.problem.slug


# ------------------------------------------------------------------------------------ the rules


def test_the_right_file_is_kept_wherever_in_the_search_order_it_lies() -> None:
    one = pin("a.safetensors")
    there = local(Path("/extra/a.safetensors"), one.key[6:])
    assert plan_of(one, found={one.key: there}) == (Keep(pin=one, path=there.path),)


def test_nothing_there_is_downloaded() -> None:
    one = pin("a.safetensors")
    (action,) = plan_of(one)
    assert action == Download(pin=one, target=MODELS / one.key, bytes_left=100)
    assert (bytes_of(action), name_of(action), target_of(action)) == (
        100, "download", MODELS / one.key,
    )  # fmt: skip


def test_what_an_earlier_run_has_left_is_not_fetched_again() -> None:
    one = pin("a.safetensors")
    (action,) = plan_of(one, parts={one.digests.label: 60})
    assert bytes_of(action) == 40
    (action,) = plan_of(one, parts={one.digests.label: 600})
    assert bytes_of(action) == 0


def test_a_copy_elsewhere_is_linked() -> None:
    one = pin("a.safetensors", "ink")
    (action,) = plan_of(one, spares=[("vae/x", "ink"), ("vae/y", "other")])
    assert isinstance(action, Link)
    assert (action.source, action.room_bytes, bytes_of(action)) == (MODELS / "vae/x", 0, 0)


def test_a_copy_on_the_same_disk_is_preferred() -> None:
    one = pin("a.safetensors", "ink")
    stock = inventory([one], disks={one.key: OTHER_DISK}, spares=[("a", "ink"), ("b", "ink")])
    near = replace(stock.spares[1], file_system=OTHER_DISK)
    stock = replace(stock, spares=(stock.spares[0], near))
    (action,) = make_plan([one], stock, Policy()).actions
    assert isinstance(action, Link)
    assert (action.source, action.room_bytes) == (MODELS / "b", 0)


@pytest.mark.parametrize(
    ("mode", "room"),
    [(LinkMode.AUTO, 100), (LinkMode.COPY, 100), (LinkMode.SYMLINK, 0), (LinkMode.HARDLINK, 0)],
)
def test_a_copy_from_another_disk_takes_room(mode: LinkMode, room: int) -> None:
    one = pin("a.safetensors", "ink")
    (action,) = plan_of(
        one, spares=[("x", "ink")], disks={one.key: OTHER_DISK}, policy=Policy(link_mode=mode)
    )
    assert isinstance(action, Link)
    assert action.room_bytes == room
    (action,) = plan_of(
        one,
        spares=[("x", "ink")],
        disks={one.key: OTHER_DISK},
        policy=Policy(link_mode=mode),
        free={OTHER_DISK: 99},
    )
    assert isinstance(action, Blocked if room else Link)


def test_one_content_is_downloaded_once() -> None:
    pins = [pin("a.safetensors", "ink"), pin("b.safetensors", "ink"), pin("c.safetensors", "ink")]
    first, second, third = plan_of(*pins)
    assert isinstance(first, Download)
    for action in (second, third):
        assert isinstance(action, Link)
        assert (action.after, action.source) == (pins[0].key, MODELS / pins[0].key)


def test_one_content_whose_first_spot_has_no_room_is_downloaded_for_the_next() -> None:
    pins = [pin(f"{name}.safetensors", "ink", sources=EXACT) for name in "abc"]
    first, second, third = plan_of(
        *pins, disks={pins[0].key: OTHER_DISK}, free={OTHER_DISK: 5, DISK: 1000}
    )
    assert slug(first) == "disk-full"
    assert isinstance(second, Download)
    assert isinstance(third, Link)
    assert third.after == pins[1].key


def test_a_users_file_blocks_and_replace_moves_it() -> None:
    one = pin("a.safetensors")
    found = {one.key: local(MODELS / one.key, "mine")}
    assert slug(plan_of(one, found=found)[0]) == "path-occupied"
    (action,) = plan_of(one, found=found, policy=Policy(on_occupied=OnOccupied.REPLACE))
    assert isinstance(action, Replace)
    assert isinstance(action.new, Download)
    assert (bytes_of(action), name_of(action)) == (100, "replace")


def test_what_comfylock_placed_makes_way() -> None:
    one = pin("a.safetensors")
    (action,) = plan_of(one, found={one.key: local(MODELS / one.key, "old pin", placed=True)})
    assert isinstance(action, Replace)


def test_a_file_earlier_in_the_search_order_is_never_replaced() -> None:
    one = pin("a.safetensors")
    found = {one.key: local(Path("/extra/a.safetensors"), "mine", placed=True)}
    (action,) = plan_of(one, found=found, policy=Policy(on_occupied=OnOccupied.REPLACE))
    assert slug(action) == "path-occupied"
    assert target_of(action) == Path("/extra/a.safetensors")


@pytest.mark.parametrize("policy", [Policy(), Policy(on_occupied=OnOccupied.REPLACE)])
def test_what_is_no_file_blocks(policy: Policy) -> None:
    one = pin("a.safetensors")
    there = Obstacle(path=MODELS / one.key, slug="path-occupied", reason="a directory")
    (action,) = plan_of(one, found={one.key: there}, policy=policy)
    assert isinstance(action, Blocked)
    assert action.problem.message == f"{MODELS / one.key}, where {one.key} belongs, is a directory"


def test_no_source_blocks_unless_a_copy_is_there() -> None:
    one = pin("a.safetensors", sources=())
    assert slug(plan_of(one)[0]) == "no-source"
    assert isinstance(plan_of(one, spares=[("x", "a.safetensors")])[0], Link)


@pytest.mark.parametrize(
    ("sources", "allowed"),
    [
        ((UrlSource(url="https://Example.org/x"),), False),
        ((UrlSource(url="https://good.org/x"),), True),
        ((UrlSource(url="https://example.org/x"), CIVITAI), True),
        ((UrlSource(url="https://example.org/x"), UrlSource(url="https://good.org/x")), True),
    ],
)
def test_plain_addresses_need_a_host_that_the_user_allows(
    sources: tuple[Source, ...], allowed: bool
) -> None:
    policy = Policy(allowed_hosts=frozenset({"good.org"}))
    (action,) = plan_of(pin("a.safetensors", sources=sources), policy=policy)
    assert isinstance(action, Download if allowed else Blocked)


def test_formats_that_run_code_can_be_denied() -> None:
    policy = Policy(formats=Formats.DENY)
    one, two = pin("a.pt"), pin("b.safetensors", format="pickle")
    assert [slug(action) for action in plan_of(one, two, policy=policy)] == ["unsafe-format"] * 2
    assert isinstance(plan_of(one)[0], Download)
    kept = plan_of(one, found={one.key: local(MODELS / one.key, "a.pt")}, policy=policy)
    assert isinstance(kept[0], Keep)


def test_room_is_counted_over_all_models_of_a_disk() -> None:
    pins = [pin(f"{name}.safetensors", sources=EXACT) for name in "abc"]
    actions = plan_of(*pins, free={DISK: 250})
    assert [name_of(action) for action in actions] == ["download", "download", "blocked"]
    assert slug(actions[2]) == "disk-full"
    assert isinstance(actions[2], Blocked)
    assert "needs 100 bytes" in actions[2].problem.message
    assert "50 bytes more" in actions[2].problem.message


def test_a_size_that_may_be_wrong_blocks_nothing_and_takes_no_room() -> None:
    """The server has the last word; what surely fits is not held up by it."""
    huge, small = pin("a.safetensors", size=10**15), pin("b.safetensors", sources=EXACT)
    first, second = plan_of(huge, small, free={DISK: 250})
    assert first == Download(
        pin=huge, target=MODELS / huge.key, bytes_left=10**15, lacking=10**15 - 250
    )
    assert isinstance(second, Download)
    assert second.lacking == 0
    found = {huge.key: local(MODELS / huge.key, "old", placed=True)}
    (replaced,) = plan_of(huge, found=found, free={DISK: 250})
    assert isinstance(replaced, Replace)
    assert isinstance(replaced.new, Download)
    assert replaced.new.lacking == 10**15 - 250


@pytest.mark.parametrize(
    ("told", "lacking"),
    [(100, 30), (99, 29), (71, 1), (70, None), (5, None), (101, 31), (10**6, 10**6 - 70)],
)
def test_the_servers_length_decides_whether_it_fits(told: int, lacking: int | None) -> None:
    """70 bytes are left when all that surely fits is counted; the lock says 100."""
    (action,) = plan_of(pin("a.safetensors"), free={DISK: 70})
    assert isinstance(action, Download)
    assert action.lacking == 30
    problem = refusal(action, told)
    if lacking is None:
        assert problem is None
        assert f"{told:,} bytes by the server and not the 100" in (correction(action, told) or "")
    else:
        assert problem is not None
        assert f"where {lacking:,} bytes more would have to be free" in problem.message
    (fitting,) = plan_of(pin("a.safetensors"))
    assert isinstance(fitting, Download)
    assert (refusal(fitting, told), correction(fitting, told)) == (None, None)


def test_only_a_length_that_was_not_thought_of_is_worth_a_look() -> None:
    assert may_lie_elsewhere(pin("a.safetensors"), 101)
    assert may_lie_elsewhere(pin("a.safetensors", size=None), 101)
    assert not may_lie_elsewhere(pin("a.safetensors"), 100)
    assert not may_lie_elsewhere(pin("a.safetensors", sources=EXACT), 101)
    assert not may_lie_elsewhere(pin("a.safetensors", evidence=Evidence.LOCAL), 101)


def test_what_turns_out_to_lie_here_is_linked_in_place_of_any_download() -> None:
    one, there = pin("a.safetensors"), local(MODELS / "vae/x", "a.safetensors")
    (download,) = plan_of(one)
    found = {one.key: local(MODELS / one.key, "old", placed=True)}
    (exchange,) = plan_of(one, found=found)
    assert isinstance(download, Download)
    assert isinstance(exchange, Replace)
    for action in (download, exchange):
        instead = linked_instead(action, there)
        link = link_in(instead)
        assert (link.source, link.target, link.found) == (there.path, MODELS / one.key, there)
        assert isinstance(instead, Replace) is isinstance(action, Replace)


def test_a_size_that_nobody_knows_is_no_obstacle() -> None:
    (action,) = plan_of(pin("a.safetensors", size=None), free={DISK: 0})
    assert isinstance(action, Download)
    assert (action.bytes_left, bytes_of(action)) == (None, 0)


def test_a_plan_of_what_is_there_is_done() -> None:
    one = pin("a.safetensors")
    stock = inventory([one], found={one.key: local(MODELS / one.key, "a.safetensors")})
    done = make_plan([one], stock, Policy())
    assert (done.is_done, done.bytes_to_fetch) == (True, 0)
    todo = make_plan([one], inventory([one]), Policy())
    assert (todo.is_done, todo.bytes_to_fetch) == (False, 100)


# --------------------------------------------------------------------------------------- laws

CONTENTS = ["ink", "paper", "brush"]
NAMES = [f"{folder}/{name}.safetensors" for folder in ("loras", "vae") for name in "abcd"]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Pin], Inventory, Policy]:
    keys = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=6))
    pins = [
        pin(
            key,
            draw(st.sampled_from(CONTENTS)),
            size=draw(st.sampled_from([100, 100, 100, None])),
            sources=draw(st.sampled_from([(CIVITAI,), EXACT, ()])),
        )
        for key in keys
    ]
    found: dict[str, Content] = {}
    for one in pins:
        there: Content = draw(
            st.sampled_from(
                [
                    None,
                    None,
                    *(local(MODELS / one.key, content) for content in CONTENTS),
                    local(MODELS / one.key, "old", placed=True),
                    local(Path("/extra") / one.key, "mine"),
                    Obstacle(path=MODELS / one.key, slug="path-occupied", reason="a directory"),
                ]
            )
        )
        found[one.key] = there
    spares = draw(
        st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(CONTENTS)), max_size=2)
    )
    stock = inventory(
        pins,
        found=found,
        spares=spares,
        free={DISK: draw(st.sampled_from([0, 150, 10**6])), OTHER_DISK: 250},
        disks={one.key: draw(st.sampled_from([DISK, DISK, OTHER_DISK])) for one in pins},
    )
    policy = Policy(
        on_occupied=draw(st.sampled_from(OnOccupied)), link_mode=draw(st.sampled_from(LinkMode))
    )
    return pins, stock, policy


def applied(plan: Plan, stock: Inventory) -> Inventory:
    """The inventory after a plan was carried out without a fault."""
    spots = dict(stock.spots)
    for action in plan.of_pins:
        if filling_of(action) is not None:
            key = action.pin.key
            placed = LocalFile(
                path=target_of(action),
                stat=FileStat(100, 2, 2, 2),
                digests=action.pin.digests,
                placed=True,
            )
            spots[key] = replace(spots[key], found=placed)
    return replace(stock, spots=spots)


@given(worlds())
def test_applying_a_plan_leaves_only_keep_and_blocked(
    world: tuple[list[Pin], Inventory, Policy],
) -> None:
    pins, stock, policy = world
    plan = make_plan(pins, stock, policy)
    after = make_plan(pins, applied(plan, stock), policy)
    for before, now in zip(plan.actions, after.actions, strict=True):
        if isinstance(before, Blocked):
            # Nothing of it was touched: still there, and still not done.
            assert isinstance(now, Blocked | Download | Link | Replace)
        else:
            assert isinstance(now, Keep)


@given(worlds(), st.randoms())
def test_a_plan_does_not_depend_on_the_order_of_its_input(
    world: tuple[list[Pin], Inventory, Policy], random: Any
) -> None:
    pins, stock, policy = world
    shuffled = list(pins)
    random.shuffle(shuffled)
    assert make_plan(shuffled, stock, policy) == make_plan(pins, stock, policy)


@given(worlds())
def test_each_pin_gets_one_action_and_no_user_file_is_touched_unasked(
    world: tuple[list[Pin], Inventory, Policy],
) -> None:
    pins, stock, policy = world
    plan = make_plan(pins, stock, policy)
    actions = [action for action in plan.actions if not isinstance(action, Remove)]
    assert len(actions) == len(plan.actions)
    assert [action.pin.key for action in actions] == sorted(one.key for one in pins)
    fetched: list[Digests] = []
    for action in actions:
        found = stock.spots[action.pin.key].found
        filling = filling_of(action)
        if isinstance(action, Replace):
            assert action.old == found
            assert action.old.path == target_of(action)
            assert action.old.placed or policy.on_occupied is OnOccupied.REPLACE
        elif filling is not None:
            assert found is None
        if isinstance(filling, Download):
            assert filling.pin.sources
            fetched.append(filling.pin.digests)
        if isinstance(filling, Link) and filling.after:
            leader = next(one for one in actions if one.pin.key == filling.after)
            assert isinstance(filling_of(leader), Download)
            assert leader.pin.digests == filling.pin.digests
    assert len(fetched) == len({str(one) for one in fetched})
