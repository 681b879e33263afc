"""Save third-party Keras architectures as .keras archives and SavedModels, for benchmarks/proof.py --corpus.

Usage: python benchmarks/keras_corpus.py FOLDER --from LIBRARY [--only WORD] [--seconds N]

LIBRARY is keras.applications, keras_hub or keras_cv_attention_models; the last needs Keras 2 (tf_keras), and none of
them but the first is brought by an extra of ours. Weights are random; widths are small where the library lets one
choose them. What does not build is named in FOLDER/left_out.txt and not tried again; files that are there already are
kept, so that a run that ends after some seconds is gone on with by the next.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

Entry = tuple[str, Callable[[], Any]]
LARGE_IMAGES = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
TOO_LARGE = ("ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge", "EfficientNetB6", "EfficientNetB7", "NASNetLarge",
             "EfficientNetV2M", "EfficientNetV2L")  # fmt: skip
"""More than 40 million weights: a minute and gigabytes each, and no other operation than their smaller kin."""
HUB_TEXT = """
    Albert Bart Bert Bloom DebertaV3 DistilBert EdRec Electra ESM FNet Falcon GPT2 GPTNeoX Gemma Gemma3 GptOss Llama
    Llama3 Mistral Mixtral Moonshine OPT Phi3 Qwen Qwen3 Qwen3Moe QwenMoe Roberta RoformerV2 SmolLM3 T5 Whisper
    XLMRoberta XLNet
"""
HUB_WIDTHS: dict[str, Any] = {
    "vocabulary_size": 99, "vocab_size": 99, "num_layers": 2, "num_heads": 4, "hidden_dim": 32, "intermediate_dim": 64,
    "embedding_dim": 32, "num_layers_enc": 2, "num_layers_dec": 2, "num_attention_heads": 4, "num_query_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "head_size": 8, "num_experts": 4, "moe_intermediate_dim": 32,
    "shared_expert_intermediate_dim": 32, "hidden_size": 32, "encoder_num_layers": 2, "decoder_num_layers": 2,
    "encoder_num_heads": 4, "decoder_num_heads": 4, "filter_dim": 32, "image_size": 32, "attention_bias": False,
    "attention_dropout": 0.0, "rope_layer_enabled_list": [True, True], "layer_types": ["full_attention"] * 2,
    "mlp_bias": False, "layer_norm_epsilon": 1e-5, "max_position_embeddings": 64, "rope_theta": 10000.0,
    "partial_rotary_factor": 1.0, "vision_encoder": None, "top_k": 2,
}  # fmt: skip
_RESNET = {"input_conv_filters": [64], "input_conv_kernel_sizes": [7], "stackwise_num_filters": [64, 64],
           "stackwise_num_blocks": [2, 2], "stackwise_num_strides": [1, 2], "image_shape": (32, 32, 3)}  # fmt: skip
_VIT = {"image_shape": (32, 32, 3), "patch_size": 8, "num_layers": 2, "num_heads": 4, "hidden_dim": 32}
HUB_IMAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "CSPNet": ("CSPNet", {"stem_filters": 8, "stem_kernel_size": 3, "stem_strides": 1, "stackwise_depth": [1, 2],
                          "stackwise_strides": [1, 2], "stackwise_num_filters": [16, 32], "block_type": "dark",
                          "image_shape": (32, 32, 3)}),
    "DINOV2": ("DINOV2", {"patch_size": 8, "num_layers": 2, "hidden_dim": 32, "num_heads": 4, "intermediate_dim": 64,
                          "image_shape": (32, 32, 3), "position_embedding_shape": (32, 32, 3)}),
    "DINOV3": ("DINOV3", {"patch_size": 8, "num_layers": 2, "hidden_dim": 32, "num_heads": 4, "intermediate_dim": 64,
                          "image_shape": (32, 32, 3)}),
    "DeiT": ("DeiT", {**_VIT, "intermediate_dim": 64}),
    "DenseNet": ("DenseNet", {"stackwise_num_repeats": [2, 2], "image_shape": (32, 32, 3), "growth_rate": 8}),
    "MiT": ("MiT", {"layerwise_depths": [1, 1], "num_layers": 2, "layerwise_num_heads": [1, 2],
                    "layerwise_sr_ratios": [2, 1], "max_drop_path_rate": 0.1, "layerwise_patch_sizes": [7, 3],
                    "layerwise_strides": [4, 2], "image_shape": (32, 32, 3), "hidden_dims": [16, 32]}),
    "ResNetV1": ("ResNet", {**_RESNET, "block_type": "basic_block"}),
    "ResNetV2": ("ResNet", {**_RESNET, "block_type": "bottleneck_block", "use_pre_activation": True}),
    "SwinTransformer": ("SwinTransformer", {"image_shape": (32, 32, 3), "embed_dim": 16, "depths": [2, 2],
                                            "num_heads": [2, 4], "window_size": 4}),
    "VGG": ("VGG", {"stackwise_num_repeats": [2, 2], "stackwise_num_filters": [8, 16], "image_shape": (32, 32, 3)}),
    "ViT": ("ViT", {**_VIT, "patch_size": (8, 8), "mlp_dim": 64}),
    "ViTDet": ("ViTDet", {"hidden_size": 32, "num_layers": 2, "intermediate_dim": 64, "num_heads": 4,
                          "global_attention_layer_indices": [1], "image_shape": (64, 64, 3), "patch_size": 8,
                          "num_output_channels": 16, "window_size": 4}),
    "Xception": ("Xception", {"stackwise_conv_filters": [[8, 16], [16, 16]], "stackwise_pooling": [True, False],
                              "image_shape": (32, 32, 3)}),
}  # fmt: skip
"""Name -> the backbone of keras_hub, and what it is built with."""
ATTENTION_MODELS = """
    aotnet.AotNet50 aotnet.AotNet50V2 beit.BeitBasePatch16 beit.ViTTinyPatch16 beit.DINOv2_ViT_Small14
    beit.EVA02TinyPatch14 beit.FlexiViTSmall botnet.BotNet26T botnet.BotNextECA26T botnet.BotNetSE33T
    caformer.CAFormerS18 caformer.ConvFormerS18 cmt.CMTTiny cmt.CMTXS_torch coat.CoaTLiteMini coat.CoaTMini
    coatnet.CoAtNet0 convnext.ConvNeXtTiny convnext.ConvNeXtV2Atto cotnet.CotNet50 cotnet.CotNetSE50D
    cspnext.CSPNeXtTiny davit.DaViT_T edgenext.EdgeNeXt_XX_Small efficientdet.EfficientDetD0
    efficientdet.EfficientDetLite0 efficientformer.EfficientFormerL1 efficientformer.EfficientFormerV2S0
    efficientnet.EfficientNetEdgeTPUSmall efficientnet.EfficientNetV1B0 efficientnet.EfficientNetV1Lite0
    efficientnet.EfficientNetV2B0 efficientvit.EfficientViT_B0 efficientvit.EfficientViT_M0 fasternet.FasterNetT0
    fastervit.FasterViT0 fastvit.FastViT_T8 fastvit.FastViT_SA12 gcvit.GCViT_XXTiny ghostnet.GhostNet_050
    ghostnet.GhostNetV2_100 gpvit.GPViT_L1 halonet.HaloNet26T halonet.HaloNextECA26T halonet.HaloBotNet50T
    hiera.HieraTiny hornet.HorNetTiny hornet.HorNetTinyGF iformer.IFormerSmall inceptionnext.InceptionNeXtTiny
    levit.LeViT128S maxvit.MaxViT_Tiny mlp_family.GMLPTiny16 mlp_family.MLPMixerS32 mlp_family.ResMLP12
    mlp_family.WaveMLP_T mobilenetv3_family.FBNetV3B mobilenetv3_family.LCNet050
    mobilenetv3_family.MobileNetV3Small050 mobilenetv3_family.TinyNetE mobilevit.MobileViT_XXS
    mobilevit.MobileViT_V2_050 moganet.MogaNetXtiny nat.NAT_Mini nat.DiNAT_Mini nfnets.NFNetL0 nfnets.ECA_NFNetL0
    nfnets.NormFreeNet_Light pvt.PVT_V2B0 pvt.PVT_V2B2_linear repvit.RepViT_M09 resnest.ResNest50
    resnet_family.RegNetY040 resnet_family.RegNetZB16 resnet_family.RegNetZC16_EVO resnet_family.ResNeXt50
    resnet_family.ResNet50D resnet_family.ResNet51Q swin_transformer_v2.SwinTransformerV2Tiny_window8
    swin_transformer_v2.SwinTransformerV2Tiny_ns tinyvit.TinyViT_5M uniformer.UniformerSmall32 vanillanet.VanillaNet5
    volo.VOLO_d1 yolor.YOLOR_CSP yolov7.YOLOV7_Tiny yolov8.YOLOV8_N yolov8.YOLO_NAS_S yolox.YOLOXNano
    gpt2.GPT2_Base llama2.LLaMA2_15M
"""


def applications() -> Iterator[Entry]:
    """Those of Keras itself, on the smallest images that they take."""
    import keras

    for name in sorted(dir(keras.applications)):
        if name[0].isupper() and name not in TOO_LARGE:
            size = LARGE_IMAGES.get(name, 32)
            given = {"include_top": False, "weights": None, "input_shape": (size, size, 3), "pooling": "avg"}
            yield name, lambda name=name, given=given: getattr(keras.applications, name)(**given)


def hub() -> Iterator[Entry]:
    """Backbones of keras_hub."""
    import inspect

    import keras_hub

    def text(name: str) -> Any:
        make = getattr(keras_hub.models, f"{name}Backbone")
        wanted = [one.name for one in inspect.signature(make.__init__).parameters.values()
                  if one.default is one.empty and one.name in HUB_WIDTHS]  # fmt: skip
        return make(**{one: HUB_WIDTHS[one] for one in wanted})

    for name in HUB_TEXT.split():
        yield f"keras_hub.{name}", lambda name=name: text(name)
    for name, (backbone, given) in HUB_IMAGES.items():
        make = lambda backbone=backbone, given=given: getattr(keras_hub.models, f"{backbone}Backbone")(**given)  # noqa: E731
        yield f"keras_hub.{name}", make


def attention_models() -> Iterator[Entry]:
    """Those of keras_cv_attention_models, of Keras 2."""
    import keras_cv_attention_models as library

    for place in ATTENTION_MODELS.split():
        family, _, name = place.partition(".")

        def build(family: str = family, name: str = name) -> Any:
            return getattr(getattr(library, family), name)(pretrained=None)

        yield f"keras_cv_attention_models.{name}", build


LIBRARIES = {"keras.applications": applications, "keras_hub": hub, "keras_cv_attention_models": attention_models}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--from", dest="library", choices=LIBRARIES, required=True)
    parser.add_argument("--only", default="", help="architectures with this in their name")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start none after this time")
    options = parser.parse_args()
    if options.library == "keras_cv_attention_models":
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
    options.folder.mkdir(parents=True, exist_ok=True)
    note = options.folder / "left_out.txt"
    left_out = note.read_text() if note.exists() else ""
    start = time.monotonic()
    for name, build in LIBRARIES[options.library]():
        archive, directory = options.folder / f"{name}.keras", options.folder / name
        done = (archive.exists() and directory.exists()) or f"{name}: " in left_out
        if done or options.only not in name:
            continue
        if time.monotonic() - start > options.seconds:
            return 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = build()
                model.save(archive)
                model.export(str(directory))
            print(f"{name}: {len(model.layers)} layers", flush=True)
        except Exception as exc:
            archive.unlink(missing_ok=True)
            reason = (str(exc).strip().splitlines() or [""])[0][:100]
            with note.open("a") as file:
                print(f"{name}: left out, {type(exc).__name__}: {reason}", file=file, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
