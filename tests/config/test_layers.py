"""What the user types against what the model has."""

import pytest

from kmr_cli.config.layers import choose, unknown_layer
from kmr_cli.errors import LayerError
from kmr_cli.records import LayerInfo

LAYERS = [
    LayerInfo("conv1", "Conv2D"),
    LayerInfo("tower", "Functional"),
    LayerInfo("tower/conv1", "Conv2D"),
    LayerInfo("tower/dense", "Dense"),
    LayerInfo("other/pool", "Pool", untappable="runs inside a loop"),
    LayerInfo("other/pool2", "Pool"),
    LayerInfo("other/dense", "Dense"),
    LayerInfo("odd[0]", "Odd"),
]


def paths(*patterns):
    return choose(patterns, LAYERS, "/").paths


def test_exact_path_wins_over_suffix():
    assert paths("conv1") == ("conv1",)


def test_unique_suffix_of_whole_names():
    assert paths("pool2") == ("other/pool2",)
    assert choose(["ool2"], LAYERS, "/").unmatched == ("ool2",)


def test_ambiguous_suffix_lists_the_candidates():
    with pytest.raises(LayerError, match="'dense' matches the end of 2 layers: 'tower/dense', 'other/dense'"):
        paths("dense")


def test_glob_crosses_levels_and_leaves_out_what_cannot_be_tapped():
    choice = choose(["*"], LAYERS, "/")
    assert choice.paths == tuple(layer.path for layer in LAYERS if not layer.untappable)
    assert [layer.path for layer in choice.skipped] == ["other/pool"]


def test_several_patterns_keep_the_models_order_and_no_doubles():
    assert paths("tower/*", "conv1", "*conv1") == ("conv1", "tower/conv1", "tower/dense")


def test_glob_characters_in_a_real_name():
    assert paths("odd[0]") == ("odd[0]",)


def test_untappable_by_name_is_an_error_with_the_reason():
    with pytest.raises(LayerError, match="'other/pool' cannot be tapped: runs inside a loop"):
        paths("other/pool")


@pytest.mark.parametrize(
    ("typed", "hint"),
    [("cnov1", "did you mean 'conv1'"), ("Dense", "did you mean 'tower/dense'"), ("zzz", "kmr-inspect layers")],
)
def test_unknown_layer_names_the_nearest(typed, hint):
    assert hint in (unknown_layer(typed, LAYERS).hint or "")


def test_a_small_model_lists_all_it_has():
    assert unknown_layer("zzz", LAYERS[:2]).hint == "it has 'conv1', 'tower'"


def test_a_large_model_shows_some_and_how_to_list_all():
    layers = [LayerInfo(f"layer{number}", "Dense") for number in range(40)]
    hint = unknown_layer("zzz", layers).hint
    assert (
        hint == "it has 'layer0', 'layer1', 'layer2', 'layer3', 'layer4', …: `kmr-inspect layers MODEL` lists them all"
    )


def test_a_model_without_layers_says_so():
    assert unknown_layer("zzz", []).hint == "the model has no layer that can be tapped"


GRAPH = [
    LayerInfo("block", "scope", scopes=("net_1/block_1", "Call/net_1/block_1")),
    LayerInfo("block/fc", "Dense", scopes=("net_1/block_1/fc_1", "Call/net_1/block_1/fc_1")),
    LayerInfo("shared", "Dense", scopes=("net_1/shared_1", "net_1/shared_2")),
    LayerInfo("left", "Add", scopes=("same",)),
    LayerInfo("right", "Add", scopes=("same",)),
]


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("net_1/block_1", "block"), ("net_1/block_1/add:0", "block"), ("net_1/block_1/fc_1/BiasAdd", "block/fc"),
        ("Call/net_1/block_1/fc_1/BiasAdd:0", "block/fc"), ("^net_1/shared_2/Relu", "shared"),
        ("net_1/block_10", None), ("net_1", None), ("elsewhere/net_1/block_1", None), ("same/add:0", None),
    ],
)  # fmt: skip
def test_names_of_the_graph_stand_for_the_innermost_layer_around_them(name, layer):
    found = choose([name], GRAPH, "/")
    assert found.paths == (() if layer is None else (layer,))
    assert found.unmatched == ((name,) if layer is None else ())
