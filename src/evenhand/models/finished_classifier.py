"""Loads text classifiers with their own heads, which score what other models write; they are not trained."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from evenhand.errors import InputError
from evenhand.models.find import BaseModel
from evenhand.models.last_token import point_out_last_token, reads_last_token
from evenhand.models.load import read_weights, shared_tokenizer
from evenhand.models.quiet import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def classes_of(base: BaseModel) -> tuple[str, ...]:
    """Return the names of a finished classifier's classes, from its configuration, without loading its weights.

    Raises:
        InputError: it reads no texts, has no trained head, or predicts a number instead of classes.
    """
    from transformers import AutoConfig

    if base.modality != "text":
        raise InputError(f"{base.name} reads {base.modality}s; choose a classifier of texts")
    if base.contents.head is None or base.contents.fresh:
        lacks = "classification head" if base.contents.head is None else base.contents.fresh[0]
        raise InputError(f"{base.name} has no weights for a {lacks}, so it cannot score texts; choose a classifier")
    config: Any = AutoConfig.from_pretrained(base.folder, trust_remote_code=False)
    if config.problem_type == "regression":
        raise InputError(f"{base.name} predicts a number, not the probability of a class; choose a classifier")
    return tuple(str(config.id2label[code]) for code in range(config.num_labels))


@lru_cache(maxsize=2)
def load_finished_classifier(base: BaseModel) -> PreTrainedModel:
    """Load a classifier with its own head in float32, in evaluation mode, on the CPU; nobody may change it.

    All trials of this process share it. A decoder reads the last token that is not padding.

    Raises:
        InputError: its weights do not fit its configuration.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.from_pretrained(base.folder, trust_remote_code=False)
    config.pad_token_id = shared_tokenizer(base).pad_token_id
    with quiet():
        model, report = read_weights(base, AutoModelForSequenceClassification, config)
    absent = sorted([*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])])
    if absent:
        raise InputError(f"{base.name} has no weights that fit {absent[0]}, so it cannot score texts")
    model.eval()
    return point_out_last_token(model) if reads_last_token(model) else model
