"""Export third-party architectures as .pt2, ONNX and TorchScript, for benchmarks/proof.py --corpus.

Usage: python benchmarks/corpus.py FOLDER [--only WORD] [--formats NAME ...] [--seconds N]

Needs transformers, timm and torchvision beside torch, which no extra of ours brings. Weights are random and widths
small: the proof reads neither. What does not export is named in FOLDER/left_out.txt and not tried again; files that
are there already are kept, so that a run that ends after some seconds is gone on with by the next.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

TORCHVISION = """
    alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5
    mobilenet_v2 mobilenet_v3_small regnet_y_400mf resnet18 resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_1 swin_t
    swin_v2_t vgg11_bn vit_b_16 wide_resnet50_2
"""
TIMM = """
    beit_base_patch16_224 botnet26t_256 cait_xxs24_224 coat_tiny coatnet_pico_rw_224 convmixer_768_32 convnext_atto
    convnextv2_atto crossvit_tiny_240 cspresnet50 davit_tiny deit_tiny_patch16_224 dla34 dpn48b edgenext_xx_small
    efficientformer_l1 efficientformerv2_s0 efficientnet_lite0 efficientvit_b0 efficientvit_m0 eva02_tiny_patch14_224
    fastvit_t8 fbnetc_100 focalnet_tiny_srf gcvit_xxtiny ghostnet_050 ghostnetv2_100 gmlp_s16_224 halonet26t
    hardcorenas_a hgnet_tiny hiera_tiny_224 hrnet_w18_small inception_next_tiny lambda_resnet26t lcnet_050 levit_128s
    mambaout_femto maxvit_rmlp_pico_rw_256 mixer_s32_224 mobilenetv4_conv_small mobileone_s0 mobilevit_xxs
    mobilevitv2_050 mvitv2_tiny nest_tiny nfnet_l0 pit_ti_224 poolformer_s12 pvt_v2_b0 regnetx_002 repvgg_a0
    repvit_m0_9 res2net50_14w_8s resmlp_12_224 resnet10t rexnet_100 samvit_base_patch16 sebotnet33ts_256 selecsls42
    sequencer2d_s seresnet18 skresnet18 starnet_s1 swinv2_cr_tiny_224 tiny_vit_5m_224 tinynet_e tnt_s_patch16_224
    tresnet_m twins_svt_small visformer_tiny vit_tiny_patch16_224 vitamin_small_224 volo_d1_224 xcit_nano_12_p16_224
"""
TEXT = """
    Albert Arcee Bert BioGpt Bloom Camembert CodeGen Cohere ConvBert Data2VecText Deberta DebertaV2 DistilBert Electra
    Ernie Ernie4_5 Exaone4 FNet Falcon GPT2 GPTJ GPTNeoX Gemma Gemma2 Gemma3Text Glm Granite Helium IBert LayoutLM
    Llama MPNet Mamba MegatronBert Mistral Mixtral MobileBert ModernBert Mra Nemotron NomicBert Nystromformer OPT Olmo
    Olmo2 Olmoe Persimmon Phi Phi3 Qwen2 Qwen2Moe Qwen3 Qwen3Moe RecurrentGemma RemBert RoFormer Roberta Rwkv SmolLM3
    Splinter SqueezeBert StableLm Starcoder2 XGLM XLMRoberta
"""
IMAGES = """
    Beit ConvNext ConvNextV2 Cvt Data2VecVision DeiT Dinov2 Dinov2WithRegisters EfficientNet FocalNet Hiera IJepa
    MobileViT PoolFormer PvtV2 RegNet ResNet Segformer Swin Swinv2 ViT ViTMSN VitDet
"""
PAIRS = "Bart Blenderbot MBart Marian Pegasus T5 MT5 UMT5 M2M100 PLBart"
SOUNDS = "Wav2Vec2 Hubert WavLM UniSpeech"
WIDTHS: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 99,
    "max_position_embeddings": 64, "num_key_value_heads": 2, "head_dim": 8, "embedding_size": 32, "dim": 32,
    "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64,
    "rotary_dim": 8, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "num_layers": 2, "num_heads": 4,
    "num_experts": 4, "num_local_experts": 4, "moe_intermediate_size": 32, "num_experts_per_tok": 2, "d_model": 32,
    "attention_layers": 2, "decoder_layers": 2, "attention_heads": 4, "d_kv": 8, "d_ff": 64, "encoder_layers": 2,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
    "decoder_start_token_id": 0, "ffn_dim": 64, "word_embed_proj_dim": 32, "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
SUFFIXES = {"pt2": ".pt2", "onnx": ".onnx", "torchscript": ".pt"}
Entry = tuple[str, Callable[[], nn.Module], dict[str, Tensor]]


class First(nn.Module):
    """The first result of a model of transformers."""

    def __init__(self, model: nn.Module, **options: Any) -> None:
        super().__init__()
        self.model, self.options = model, options


class OfText(First):
    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask, return_dict=True, **self.options)[0]


class OfImages(First):
    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.model(pixel_values=pixel_values, return_dict=True)[0]


class OfPairs(First):
    def forward(self, input_ids: Tensor, decoder_input_ids: Tensor) -> Tensor:
        found = self.model(
            input_ids=input_ids, decoder_input_ids=decoder_input_ids, use_cache=False, return_dict=True
        )  # fmt: skip
        return found[0]


class OfSounds(First):
    def forward(self, input_values: Tensor) -> Tensor:
        return self.model(input_values=input_values, return_dict=True)[0]


def transformer(name: str, wrapper: type[First], **widths: Any) -> nn.Module:
    import transformers

    configuration = getattr(transformers, f"{name}Config")
    errors: list[Exception] = []
    for given in (widths, {key: widths[key] for key in list(widths)[:6]}, {}):
        try:
            made = configuration(**given)
        except Exception as exc:
            errors.append(exc)
            continue
        model = getattr(transformers, f"{name}Model")(made)
        return wrapper(model, **({"use_cache": False} if hasattr(made, "use_cache") else {}))
    raise errors[0]


def entries() -> Iterator[Entry]:
    """(name, how it is built, its inputs)."""
    import timm
    import torchvision

    ids = torch.randint(3, 90, (2, 9))
    for name in TEXT.split():
        both = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        yield f"transformers.{name}", lambda name=name: transformer(name, OfText, **WIDTHS), both
    for name in PAIRS.split():
        both = {"input_ids": ids, "decoder_input_ids": ids}
        yield f"transformers.{name}", lambda name=name: transformer(name, OfPairs, **WIDTHS), both
    for name in SOUNDS.split():
        sound = {"input_values": torch.randn(2, 4000)}
        yield f"transformers.{name}", lambda name=name: transformer(name, OfSounds, **WIDTHS), sound
    for name in IMAGES.split():
        image = {"pixel_values": torch.randn(2, 3, 224, 224)}
        yield f"transformers.{name}", lambda name=name: transformer(name, OfImages), image
    for name in TORCHVISION.split():
        side = 299 if name == "inception_v3" else 224
        more = {"init_weights": False, "aux_logits": False} if name in ("googlenet", "inception_v3") else {}
        build = lambda name=name, more=more: torchvision.models.get_model(name, weights=None, **more)  # noqa: E731
        yield f"torchvision.{name}", build, {"x": torch.randn(2, 3, side, side)}
    for name in TIMM.split():
        size = timm.get_pretrained_cfg(name).input_size if timm.is_model(name) else (3, 224, 224)
        yield f"timm.{name}", lambda name=name: timm.create_model(name, pretrained=False), {"x": torch.randn(2, *size)}


def export(build: Callable[[], nn.Module], inputs: dict[str, Tensor], path: Path) -> None:
    """Write one file, with any number of samples."""
    model = build().eval()
    given = tuple(inputs.values())
    with torch.no_grad():
        if path.suffix == ".onnx":
            torch.onnx.export(
                model, given, str(path), dynamo=True, external_data=False, verbose=False, opset_version=20,
                dynamic_shapes=tuple({0: torch.export.Dim("batch")} for _ in inputs), input_names=list(inputs),
            )  # fmt: skip
        elif path.suffix == ".pt":
            torch.jit.save(torch.jit.trace(model, given, check_trace=False), path)
            # Such files hold no shapes.
            np.savez(path.with_suffix(".npz"), **{name: value.numpy() for name, value in inputs.items()})
        else:
            free = {0: torch.export.Dim.AUTO}
            torch.export.save(torch.export.export(model, given, dynamic_shapes=tuple(free for _ in inputs)), path)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="files with this in their name")
    parser.add_argument("--formats", nargs="+", choices=SUFFIXES, default=list(SUFFIXES))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start none after this time")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    # Its compiled operators, which no model here uses, may have been built for another torch.
    sys.modules["torchvision._meta_registrations"] = types.ModuleType("_meta_registrations")
    options.folder.mkdir(exist_ok=True, parents=True)
    note = options.folder / "left_out.txt"
    left_out = note.read_text() if note.exists() else ""
    torch.set_num_threads(1)
    start = time.monotonic()
    for name, build, inputs in entries():
        for suffix in (SUFFIXES[one] for one in options.formats):
            path = options.folder / f"{name}{suffix}"
            if options.only not in path.name or path.exists() or f"{path.name}: " in left_out:
                continue
            if time.monotonic() - start > options.seconds:
                return 1
            torch.manual_seed(0)
            try:
                export(build, inputs, path)
                print(path.name, flush=True)
            except Exception as exc:
                path.unlink(missing_ok=True)
                reason = (str(exc).strip().splitlines() or [""])[0][:100]
                with note.open("a") as file:
                    print(f"{path.name}: left out, {type(exc).__name__}: {reason}", file=file, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
