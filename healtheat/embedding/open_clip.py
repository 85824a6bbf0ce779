"""Any open_clip model as the encoder. What open_clip would only warn about is an error here."""

from __future__ import annotations

import hashlib
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from healtheat.core.errors import Argument, EncoderError
from healtheat.crops.cut import Resample
from healtheat.embedding.base import Encoder
from healtheat.embedding.hub import one_line, quiet_logs
from healtheat.embedding.open_clip_source import ModelSource, resolve
from healtheat.embedding.prompts import PROMPTS
from healtheat.embedding.questions import padded
from healtheat.embedding.spec import EncoderSpec, first_reason

if TYPE_CHECKING:
    import torch

_RESAMPLE: dict[str, Resample] = {
    "bicubic": "bicubic",
    "bilinear": "bilinear",
    "lanczos": "lanczos",
    "random": "bicubic",
}
BATCH_SIZE = {"cpu": 16, "mps": 64, "cuda": 256}


class OpenClipEncoder(Encoder):
    """The image tower of a CLIP; letterboxed input, precision as the device likes it."""

    def __init__(
        self, spec: EncoderSpec, model: Any, device: torch.device, tokenizer: Any | None = None
    ) -> None:
        self.spec = spec
        self._model, self._device, self._tokenizer = model, device, tokenizer

    @classmethod
    def load(
        cls,
        name: str,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        **policy: Any,
    ) -> OpenClipEncoder:
        """`name` is "MODEL/PRETRAINED", "hf-hub:USER/REPO" or "local-dir:FOLDER". Raises EncoderError.

        `threads` sets torch's CPU threads for the whole process; torch knows no other way.
        """
        try:
            import open_clip  # noqa: F401
            import torch
        except ImportError as error:
            raise EncoderError(
                f'encoder {name} needs open_clip ({one_line(error)}): pip install "healtheat[clip]"'
            ) from None
        if threads:
            torch.set_num_threads(threads)
        where = _device(device)
        precision = _precision(where, precision)
        source = resolve(name)
        model, preprocess = _create(source, precision, where)
        spec = _spec(name, model, preprocess, precision, where)
        return cls(spec.changed(**policy), model, where, _tokenizer(source))

    def text_vectors(self, question: str) -> dict[str, NDArray[np.float32]]:
        """By the model's own text tower, of English prompts; {} where its tokenizer would be a download."""
        if self._tokenizer is None or question not in PROMPTS:
            return {}
        import torch

        answers = {}
        for answer, texts in PROMPTS[question].items():
            with torch.inference_mode():
                tokens = self._tokenizer(list(texts)).to(self._device)
                rows = self._model.encode_text(tokens, normalize=True).float().cpu().numpy()
            answers[answer] = padded(rows.mean(axis=0), self.spec)
        return answers

    def _logit_scale(self) -> float:
        scale = getattr(self._model, "logit_scale", None)
        return 1.0 if scale is None else min(float(scale.detach().float().exp()), 1000.0)

    def _encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            images = torch.from_numpy(self._normalised(batch)).to(self._device, _dtype(self.spec.precision))
            features: NDArray[np.float32] = self._model.encode_image(images).float().cpu().numpy()
        return features


def _tokenizer(source: ModelSource) -> Any | None:
    """open_clip's own tokenizer; None for models that need one of another library's hub."""
    import open_clip

    config = open_clip.get_model_config(source.model_name)
    if config is None or (config.get("text_cfg") or {}).get("hf_tokenizer_name"):
        return None
    return open_clip.get_tokenizer(source.model_name)


def _device(asked: str) -> torch.device:
    import torch

    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if has[kind]))
    kind = asked.split(":")[0]
    if kind not in has:
        raise EncoderError(f"unknown device {asked!r}: expected auto, cpu, cuda or mps")
    if not has[kind]:
        raise EncoderError(f"device {asked}: not available here; use ", Argument("device", "auto"), " or cpu")
    try:
        device = torch.device(asked)
    except RuntimeError as error:
        raise EncoderError(f"device {asked}: {one_line(error)}") from None
    return device


def _precision(device: torch.device, asked: str) -> str:
    """16 bits where the hardware multiplies them: twice as fast, cosines change by about 0.002."""
    import torch

    if asked in ("fp32", "bf16", "fp16"):
        return asked
    if asked != "auto":
        raise EncoderError(f"unknown precision {asked!r}: expected auto, fp32, bf16 or fp16")
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        can = torch.cpu.get_capabilities()
        return "bf16" if can.get("avx512_bf16") or can.get("amx_bf16") else "fp32"
    return "fp32"


def _dtype(precision: str) -> torch.dtype:
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def _create(source: ModelSource, precision: str, device: torch.device) -> tuple[Any, dict[str, Any]]:
    import open_clip

    with quiet_logs(), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # other libraries' deprecations; what matters is checked by hand above
        try:
            model = open_clip.create_model(
                source.model_name,
                pretrained=source.pretrained,
                precision=precision,
                device=device,
                force_preprocess_cfg=source.preprocess,
                pretrained_text=False,
                require_pretrained=True,
                weights_only=True,  # a pickle that wants to run code is refused
            )
        except Exception as error:
            raise EncoderError(
                f"encoder {source.origin}: open_clip cannot load it: {one_line(error)}"
            ) from None
    model.eval()
    return model, dict(open_clip.get_model_preprocess_cfg(model))


def _spec(
    name: str, model: Any, preprocess: dict[str, Any], precision: str, device: torch.device
) -> EncoderSpec:
    """The model's own size, mean, std and filter; always letterboxed, on its mean colour."""
    import torch

    try:
        size = preprocess["size"]
        height, width = (size, size) if isinstance(size, int) else size
        if height != width or not 8 <= height <= 2048:
            raise ValueError(f"expected a square input of 8 to 2048 pixels, found {height}×{width}")
        with torch.inference_mode():
            probe = torch.zeros(1, 3, height, width, device=device, dtype=_dtype(precision))
            dim = int(model.encode_image(probe).shape[1])
        return EncoderSpec(
            name=name,
            backend="open_clip",
            weights_sha256=_fingerprint(model),
            precision=precision,
            tower_dim=dim,
            dim=dim,
            resolution_px=height,
            mean=preprocess["mean"],
            std=preprocess["std"],
            resample=_RESAMPLE[preprocess["interpolation"]],
            fill=tuple(round(255 * share) for share in preprocess["mean"]),
            batch_size=BATCH_SIZE[device.type],
        )
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        reason = first_reason(error) if isinstance(error, ValueError) else one_line(error)
        raise EncoderError(f"encoder {name}: its preprocessing cannot be used: {reason}") from None


def _fingerprint(model: Any) -> str:
    """sha256 over the image tower: its structure as torch prints it, and every tensor's name, type and bytes.

    Of the tensors, not of the file: the same weights as .bin and as .safetensors are the same encoder.
    """
    import torch

    digest = hashlib.sha256(repr(model.visual).encode())
    for name, tensor in sorted(model.visual.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
