"""Loads classifiers over base models, with tokenizers and image processors.

All models that a study compares are loaded here, so nothing depends on the defaults of a checkpoint: float32 weights,
no code from the hub, safetensors only, a head drawn under the seed, and the base's own dropout as set by the study.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from evenhand.errors import InputError, first_line
from evenhand.models.classifier_parts import POOLER, head_modules, mark_fresh
from evenhand.models.find import BaseModel, configuration, matching_files
from evenhand.models.hub import READS_IMAGES, READS_TEXT
from evenhand.models.last_token import point_out_last_token, reads_last_token
from evenhand.models.positions import text_positions
from evenhand.models.quiet import quiet
from evenhand.seeds import derive

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from transformers.image_processing_utils import BaseImageProcessor

# Buffers of older checkpoints, and a token used only in pre-training, do not indicate another architecture.
_HARMLESS = ("position_ids", "inv_freq", "mask_token", "relative_position_index", "relative_coords_table")


def name_publicly(model: PreTrainedModel, base: BaseModel) -> None:
    """Give a model its base's public name, which adapters are saved with, instead of the path it was loaded from."""
    model.name_or_path = model.config._name_or_path = base.public_name


def load_classifier(base: BaseModel, classes: tuple[str, ...], seed: int, base_dropout: float = 0.0) -> PreTrainedModel:
    """Load a classifier over the base: float32 weights, and a head drawn under the seed's "head" stream.

    The head is always new, even if the checkpoint has one, and is the same for every method with the same seed. Parts
    of the base that the checkpoint lacks belong to the head (`head_modules`). A decoder reads the last token that is
    not padding. PyTorch's global generators are not changed. The model is in evaluation mode, on the CPU.

    Args:
        base: from `find`.
        classes: names [C].
        seed: of the trial.
        base_dropout: probability of every dropout of the base model (hidden, attention, classifier, drop path).

    Raises:
        InputError: the checkpoint lacks weights of the architecture in its configuration, or has weights that do not
            belong to it.
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
    set_dropout(config, base_dropout)
    if base.modality == "text":
        config.pad_token_id = _pad_token_id(base)
    auto = AutoModelForSequenceClassification if base.modality == "text" else AutoModelForImageClassification
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(derive(seed, "head"))
        model, _ = read_weights(base, auto, config)
        name_publicly(model, base)
        mark_fresh(model, base.contents.fresh)
        torch.manual_seed(derive(seed, "head"))
        for module in head_modules(model):
            # transformers marks what it has loaded, and its initialisers then leave it alone.
            for parameter in module.parameters():
                vars(parameter).pop("_is_hf_initialized", None)
            module.apply(model._init_weights)
    return point_out_last_token(model) if base.modality == "text" and reads_last_token(model) else model


def load_tokenizer(base: BaseModel) -> PreTrainedTokenizerBase:
    """Load the base model's tokenizer, which pads and truncates on the right.

    Its `model_max_length` never exceeds the model's positions. If it has no padding token, or one that the model has no
    embedding for, it pads with the end of text or another special token. Padding is masked, so this changes nothing.

    Raises:
        InputError: the folder has no tokenizer, or one without a token to pad with.
    """
    from transformers import AutoTokenizer

    if not matching_files(base.folder, READS_TEXT):
        raise InputError(
            f"{base.name} has no tokenizer: {base.folder} should hold tokenizer.json or the files it is made from"
        )
    config = configuration(base.folder, base.name)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(base.folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise InputError(f"{base.name}: its tokenizer cannot be read: {first_line(error)}") from None
    rows = config.get("vocab_size")
    if tokenizer.pad_token_id is None or (rows is not None and tokenizer.pad_token_id >= rows):
        others = (tokenizer.eos_token, tokenizer.unk_token, tokenizer.bos_token)
        tokenizer.pad_token = next((token for token in others if token is not None), None)
        if tokenizer.pad_token is None:
            raise InputError(
                f'{base.name}: its tokenizer has no special token to pad with; set "pad_token" in tokenizer_config.json'
            )
    # Padding is on the right, so no position of an example depends on its neighbours in a batch.
    tokenizer.padding_side = "right"
    # So is cutting, whatever the setting of a chat checkpoint: all base models of a study read the same part of a text.
    tokenizer.truncation_side = "right"
    positions = text_positions(config)
    if positions is not None:
        tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    return tokenizer


@lru_cache(maxsize=4)
def shared_tokenizer(base: BaseModel) -> PreTrainedTokenizerBase:
    """Return the base model's tokenizer, which all trials of this process share and nobody may change.

    Raises: as `load_tokenizer`, whose result takes memory for ever once it has encoded something.
    """
    return load_tokenizer(base)


def load_image_processor(base: BaseModel) -> BaseImageProcessor:
    """Load the base model's image processor, always its PIL version, so that pixels do not depend on what is installed.

    Raises:
        InputError: the folder has no `preprocessor_config.json`, or one that cannot be read.
    """
    from transformers import AutoImageProcessor

    if not matching_files(base.folder, READS_IMAGES):
        raise InputError(f"{base.name} has no image processor: {base.folder} should hold preprocessor_config.json")
    try:
        with quiet():
            return AutoImageProcessor.from_pretrained(base.folder, trust_remote_code=False, backend="pil")
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{base.name}: its image processor cannot be read: {first_line(error)}") from None


def device() -> torch.device:
    """Return the device of trials: the first CUDA device, otherwise the CPU."""
    import torch

    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def resolve_precision(precision: Literal["auto", "float32", "bfloat16"]) -> Literal["float32", "bfloat16"]:
    """Return the concrete precision of `train.precision`.

    `auto` is bfloat16 autocast on a CUDA device with hardware support, otherwise float32: on CPUs bfloat16 is seldom
    faster and never more exact.
    """
    if precision != "auto":
        return precision
    import torch

    native = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if native else "float32"


@lru_cache(maxsize=16)
def _pad_token_id(base: BaseModel) -> int:
    """Return the id of the tokenizer's padding token."""
    # Decoders classify the last token that is not padding, so the model must know what the tokenizer pads with.
    return int(shared_tokenizer(base).pad_token_id)  # pyright: ignore[reportArgumentType]


def set_dropout(config: Any, share: float) -> None:
    """Set every dropout probability of a configuration: `hidden_dropout_prob`, `attn_pdrop`, `drop_path_rate`, ...

    Those of its parts, such as the `vision_config` of a CLIP, are set, too. A value of null remains null, because it
    stands for the hidden dropout.
    """
    from transformers import PreTrainedConfig

    for name, value in config.to_dict().items():
        if "drop" in name and isinstance(value, int | float) and not isinstance(value, bool):
            setattr(config, name, share)
    for part in vars(config).values():
        if isinstance(part, PreTrainedConfig):
            set_dropout(part, share)


def read_weights(base: BaseModel, auto: Any, config: Any) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Read a base's weights in float32, and what transformers reports of them.

    Args:
        base: the base model.
        auto: the class of transformers that reads it, such as `AutoModelForCausalLM`.
        config: of the model.

    Raises:
        InputError: the weights do not fit the configuration.
    """
    import torch

    model, report = auto.from_pretrained(
        base.folder,
        config=config,
        dtype=torch.float32,
        trust_remote_code=False,
        use_safetensors=True,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    check_weights_fit(base, model, report)
    return model, report


def check_weights_fit(base: BaseModel, model: PreTrainedModel, report: dict[str, Any]) -> None:
    """Raise InputError if a checkpoint's weights do not fit its configuration.

    Heads and poolers depend on the task of a checkpoint; layers of the base model do not. A pooler may be missing if
    `CheckpointContents` says so.
    """
    prefix = model.base_model_prefix + "."
    inside = tuple(f"{name}." for name, _ in model.base_model.named_children())

    fresh = tuple(f"{name}." for name in base.contents.fresh)

    def of_base(key: str) -> bool:
        """Return whether a weight belongs to the base and matters."""
        return key.startswith((prefix, *inside)) and not key.endswith(_HARMLESS)

    problems = {
        "lacks": sorted(key for key in report["missing_keys"] if of_base(key) and not key.startswith(fresh)),
        "has another shape of": sorted(key for key, *_ in report["mismatched_keys"] if of_base(key)),
        "also has": sorted(key for key in report["unexpected_keys"] if of_base(key) and POOLER not in key),
    }
    for problem, keys in problems.items():
        if keys:
            raise InputError(
                f"{base.name}: the weights do not fit config.json ({base.model_type}): the checkpoint {problem} "
                f"{keys[0]}" + (f" and {len(keys) - 1} more" if len(keys) > 1 else "")
            )
