"""Pre-train a small ViT on faces without their labels: the base model of `fairface.yaml`.

    python examples/pretrain_faces.py DIR/fairface OUT

The objective is contrastive learning (SimCLR; Chen et al. 2020, arXiv:2002.05709): the model learns to match two views
of an image (cropped, mirrored, recoloured, with half of their patches hidden) among the views of other images. It is
trained only on FairFace's `train` part, without labels. OUT becomes an ordinary model folder.

At the end, and at the random start, the script trains on the gender labels of four fifths of the training images and
measures the accuracy on the rest, for a linear classifier of the frozen features and for fine-tuning.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import ViTConfig, ViTForImageClassification, ViTMAEConfig, ViTMAEModel, ViTModel
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from evenhand.data.faces.fairface import FairFace

READ, SIDE, PATCH = 48, 40, 8
"""Sizes in pixels: of the resized image, of the crop from its middle, and of a patch."""
SIZE = {
    "image_size": SIDE,
    "patch_size": PATCH,
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 256,
}
EPOCHS, BATCH, PEAK, TEMPERATURE, SEED = 40, 128, 1e-3, 0.2, 0
TUNED_EPOCHS, TUNED_BATCH, TUNED_PEAK = 8, 32, 3e-4

PROCESSOR = ViTImageProcessorPil(
    size={"height": READ, "width": READ},
    do_center_crop=True,
    crop_size={"height": SIDE, "width": SIDE},
    image_mean=[0.5] * 3,
    image_std=[0.5] * 3,
)


def views(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Images [n, 3, READ, READ] in [-1, 1] as [n, 3, SIDE, SIDE]: a crop of 60% to 100% of each side, half of them
    mirrored, contrast and colour shifted."""
    n = len(images)
    scale = torch.from_numpy(rng.uniform(0.6, 1.0, n)).float()
    frame = torch.zeros(n, 2, 3)
    frame[:, 0, 0] = scale * torch.from_numpy(rng.choice([-1.0, 1.0], n)).float()
    frame[:, 1, 1] = scale
    frame[:, :, 2] = torch.from_numpy(rng.uniform(-1, 1, (n, 2))).float() * (1 - scale)[:, None]
    grid = functional.affine_grid(frame, [n, 3, SIDE, SIDE], align_corners=False)
    cropped = functional.grid_sample(images, grid, align_corners=False)
    contrast = torch.from_numpy(rng.uniform(0.6, 1.4, (n, 1, 1, 1))).float()
    return cropped * contrast + torch.from_numpy(rng.normal(0, 0.2, (n, 3, 1, 1))).float()


def told_apart(features: torch.Tensor) -> torch.Tensor:
    """The loss of two views of n images, [2n, d]: cross-entropy of picking the other view among 2n - 1."""
    n = len(features) // 2
    unit = functional.normalize(features, dim=1)
    likeness = (unit @ unit.T / TEMPERATURE).fill_diagonal_(-torch.inf)
    return functional.cross_entropy(likeness, torch.arange(2 * n).roll(n))


def as_vit(masked: ViTMAEModel) -> ViTModel:
    """A copy of the model without masking."""
    model = ViTModel(ViTConfig(**SIZE), add_pooling_layer=False)
    model.load_state_dict(masked.state_dict())
    return model.eval()


def halves(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Four fifths of the training images, and the rest."""
    fitted, held = np.split(np.random.default_rng(SEED).permutation(len(labels)), [4 * len(labels) // 5])
    return fitted, held


@torch.no_grad()
def linear_accuracy(model: ViTModel, pixels: torch.Tensor, labels: np.ndarray) -> float:
    """Accuracy of a ridge classifier on the first token's features."""
    fitted, held = halves(labels)
    features = torch.cat([model(part).last_hidden_state[:, 0] for part in pixels.split(256)]).double()
    features = (features - features[fitted].mean(0)) / features[fitted].std(0)
    signs = torch.from_numpy(2.0 * labels - 1)
    known = features[fitted]
    weights = torch.linalg.solve(known.T @ known + 10 * torch.eye(known.shape[1]), known.T @ signs[fitted])
    return float(((features[held] @ weights > 0) == (signs[held] > 0)).double().mean())


def tuned_accuracy(model: ViTModel, pixels: torch.Tensor, labels: np.ndarray) -> float:
    """Accuracy of the whole model with a head, fine-tuned."""
    torch.manual_seed(SEED)
    fitted, held = halves(labels)
    rng, truth = np.random.default_rng(SEED), torch.from_numpy(labels)
    tuned = ViTForImageClassification(ViTConfig(**SIZE, num_labels=2))
    tuned.vit.load_state_dict(model.state_dict())
    adamw = torch.optim.AdamW(tuned.parameters(), lr=TUNED_PEAK)
    order = [rng.permutation(fitted) for _ in range(TUNED_EPOCHS)]
    steps = [rows for epoch in order for rows in np.array_split(epoch, -(-len(epoch) // TUNED_BATCH))]
    for step, rows in enumerate(steps):
        adamw.param_groups[0]["lr"] = TUNED_PEAK * (0.5 + 0.5 * np.cos(np.pi * step / len(steps)))
        shown = pixels[rows] if rng.random() < 0.5 else pixels[rows].flip(-1)
        loss = functional.cross_entropy(tuned.train()(shown).logits, truth[rows])
        adamw.zero_grad()
        loss.backward()
        adamw.step()
    with torch.no_grad():
        return float((tuned.eval()(pixels[held]).logits.argmax(1) == truth[held]).double().mean())


def main(folder: Path, out: Path) -> None:
    data = FairFace().load(folder)
    training = data.take(np.flatnonzero(data.split == "train"))
    read = [PROCESSOR(np.asarray(image), do_center_crop=False, return_tensors="pt") for image in training.inputs]
    images = torch.cat([one["pixel_values"] for one in read])
    edge = (READ - SIDE) // 2
    middle = images[:, :, edge : edge + SIDE, edge : edge + SIDE]

    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    masked = ViTMAEModel(ViTMAEConfig(**SIZE, mask_ratio=0.5))
    projection = nn.Sequential(nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 64))
    learned = [p for part in (masked, projection) for p in part.parameters() if p.requires_grad]
    adamw = torch.optim.AdamW(learned, lr=PEAK, weight_decay=0.05)
    start = as_vit(masked)
    per_epoch = len(images) // BATCH
    steps, step, started = EPOCHS * per_epoch, 0, time.perf_counter()
    for epoch in range(EPOCHS):
        losses = []
        for rows in np.array_split(rng.permutation(len(images))[: per_epoch * BATCH], per_epoch):
            rate = PEAK * min((step + 1) / (0.05 * steps), 0.5 + 0.5 * np.cos(np.pi * step / steps))
            adamw.param_groups[0]["lr"] = rate
            both = torch.cat([views(images[rows], rng), views(images[rows], rng)])
            loss = told_apart(projection(masked(both).last_hidden_state[:, 0]))
            adamw.zero_grad()
            loss.backward()
            adamw.step()
            losses.append(loss.item())
            step += 1
        seconds = time.perf_counter() - started
        print(
            f"epoch {epoch + 1} of {EPOCHS}: loss {np.mean(losses):.3f}, {seconds:.0f} s", file=sys.stderr, flush=True
        )
    model = as_vit(masked)
    model.save_pretrained(out)
    PROCESSOR.save_pretrained(out)
    print(
        f"{out}: {model.num_parameters():,} parameters, {steps:,} steps, {time.process_time():.0f} s of processor time"
    )
    for name, accuracy in (("frozen features", linear_accuracy), ("fine-tuning", tuned_accuracy)):
        before, after = (accuracy(one, middle, training.labels) for one in (start, model))
        print(f"gender on held-out training images, {name}: {before:.3f} at the random start, {after:.3f} now")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
