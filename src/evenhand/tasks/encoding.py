"""Encodes texts and images as a base model's inputs, for trials of classification."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evenhand.data.images import LazyImage

if TYPE_CHECKING:
    from evenhand.tasks.work import Work
    from evenhand.training.batches import Inputs


class InputEncoder:
    """Encodes texts or images for a base model; trials that share inputs have them encoded once.

    Args:
        kept: the folder in which image files are kept for other trials, as resized by the base model's processor; None:
            they are decoded again.
    """

    LATEST = 4
    """Number of encodings to remember: the parts of one split, whose trials follow each other. More would fill the
    memory with images that are predicted once."""

    def __init__(self, kept: Path | None = None) -> None:
        self._kept = kept
        self._found: dict[tuple[Any, ...], tuple[Sequence[Any], Inputs]] = {}

    def __call__(self, work: Work, inputs: Sequence[Any]) -> Inputs:
        """Return the encoded inputs for the trial's method and `max_length`."""
        key = (id(inputs), work.base.fingerprint, work.train.max_length, work.method.virtual_tokens)
        if key not in self._found:
            while len(self._found) >= self.LATEST:
                del self._found[next(iter(self._found))]
            # The object is kept together with its encoding, because its id is unique only while it exists.
            self._found[key] = inputs, self._encoded(work, inputs)
        return self._found[key][1]

    def _encoded(self, work: Work, inputs: Sequence[Any]) -> Inputs:
        """Encode the inputs."""
        from evenhand.models.load import load_image_processor, shared_tokenizer
        from evenhand.training.batches import encode_images, encode_texts

        if work.base.modality == "image":
            processor = load_image_processor(work.base)
            if self._kept is not None and len(inputs) and isinstance(inputs[0], LazyImage):
                from evenhand.training.pixels import resize_images

                images = resize_images(processor, inputs, self._kept)
                if images is not None:
                    return images
            return encode_images(processor, inputs)
        tokenizer = shared_tokenizer(work.base)
        longest = min(work.train.max_length, tokenizer.model_max_length - work.method.virtual_tokens)
        return encode_texts(tokenizer, inputs, max_length=longest)
