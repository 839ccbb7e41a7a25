"""Trains a language model on several processes, and shares out what it is asked afterwards.

If every process has the whole model, each answers every n-th question. Of a sharded model, every process answers all
questions, because the processes must call it equally often: each call gathers the shards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule
from transformers import PreTrainedModel

from evenhand.training.batches import Inputs
from evenhand.training.distributed import DistributedPack, accelerator, gather
from evenhand.training.language import LanguagePack, mean_losses, target_log_probs
from evenhand.training.prompted_texts import PromptedTexts
from evenhand.training.shares import Answers, Question


@dataclass(eq=False)
class DistributedLanguagePack(DistributedPack, LanguagePack):
    """A pack of one language model whose batches and questions are distributed over the processes of a launch."""

    def evaluate(self, replica: int, inputs: Inputs, labels: np.ndarray) -> tuple[float, float]:
        """Return the mean loss per example, equal in every process, and NaN, as `LanguagePack` does."""
        assert isinstance(inputs, PromptedTexts)
        losses = self.values_of_all(
            inputs, lambda rows: mean_losses(*target_log_probs(self.module, inputs, rows, self.device))
        )
        return float(np.average(losses, weights=inputs.counts if inputs.by_token else None)), float("nan")

    @contextmanager
    def answering(self) -> Iterator[nn.Module]:
        """Context manager that yields the trained model, ready to answer questions. Every process must enter it."""
        if not isinstance(self.module, FSDPModule):
            yield self.full_model(0)
            return
        (replica,) = self.replicas
        if not replica.steps_taken:
            # FSDP2 needs a call of the whole model before those of its parts.
            with torch.no_grad():
                self.sum_of_losses(np.array([0]))
        # PEFT generates past its own forward, so that only the shards of the inner parts would be gathered.
        self.module.unshard()
        language_model = next(module for module in self.module.modules() if isinstance(module, PreTrainedModel))
        # With this attribute, transformers generates until every process has finished, should their rounding differ.
        vars(language_model)["_is_fsdp_managed_module"] = True
        try:
            yield self.module.eval()
        finally:
            del vars(language_model)["_is_fsdp_managed_module"]
            self.module.reshard()

    def share_out(
        self,
        answer: Callable[[Sequence[Question]], Answers],
        questions: Sequence[Question],
        weave: Callable[[Sequence[Answers]], Answers],
    ) -> Answers:
        """Return the answers to all questions, equal in every process; see `evenhand.training.shares.ShareOut`."""
        if isinstance(self.module, FSDPModule) or not len(questions):
            return answer(questions)
        share = questions[accelerator().process_index :: accelerator().num_processes]
        parts = gather(answer(share) if len(share) else None)
        return weave([part for part in parts if part is not None])
