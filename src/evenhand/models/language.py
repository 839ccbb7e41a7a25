"""Loads a base model as a causal language model, with the output layer of its checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenhand.errors import InputError
from evenhand.models.classifier_parts import model_from_config
from evenhand.models.find import BaseModel
from evenhand.models.load import name_publicly, read_weights, set_dropout
from evenhand.models.quiet import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_language_model(base: BaseModel, base_dropout: float = 0.0) -> PreTrainedModel:
    """Load the base as a causal language model: float32 weights, nothing drawn, in evaluation mode, on the CPU.

    The checkpoint's generation defaults (a temperature, say) are ignored: generation always takes the most likely
    token.

    Args:
        base: from `find`.
        base_dropout: probability of every dropout of the base model.

    Raises:
        InputError: the checkpoint lacks weights of the architecture in its configuration (including the output layer),
            or has weights that do not belong to it.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    config = AutoConfig.from_pretrained(base.folder, trust_remote_code=False)
    set_dropout(config, base_dropout)
    with quiet(), torch.random.fork_rng():
        model, report = read_weights(base, AutoModelForCausalLM, config)
    name_publicly(model, base)
    absent = sorted(report["missing_keys"])
    if absent:
        raise InputError(
            f"{base.name} has no weights for {absent[0]}, so it cannot generate text; choose a model "
            "with its output layer"
        )
    # What ends a text stays as the checkpoint has it, or benchmarks would read on behind the end; sampling does not.
    end = model.generation_config.eos_token_id
    model.generation_config = GenerationConfig(do_sample=False, num_beams=1, eos_token_id=end)
    return model.eval()


def language_model_skeleton(base: BaseModel) -> PreTrainedModel:
    """Return the base as a causal language model on the meta device, with names and shapes but no weights.

    Raises:
        InputError: transformers has no language model of this architecture, or the configuration describes none.
    """
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as KNOWN

    # Encoders are listed, too, with a mask and a new output layer, and translators without their encoder, but they have
    # not learned to continue a text.
    if base.model_type in KNOWN and base.model_type not in ENCODERS:
        skeleton = model_from_config(base.folder, AutoModelForCausalLM)
        if not AutoConfig.from_pretrained(base.folder, trust_remote_code=False).is_encoder_decoder:
            return skeleton
    raise InputError(
        f"{base.name}: a {base.model_type} cannot continue a text, which this task needs; choose a decoder such as a "
        "Llama, a Mistral or a GPT-2"
    )


ENCODERS = frozenset(
    {
        "bert",
        "bert-generation",
        "big_bird",
        "camembert",
        "data2vec-text",
        "electra",
        "ernie",
        "megatron-bert",
        "rembert",
    }
    | {"roberta", "roberta-prelayernorm", "roc_bert", "roformer", "xlm-roberta", "xlm-roberta-xl", "xmod"}
)
"""Encoders that transformers also offers as decoders."""
