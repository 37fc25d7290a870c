"""The recipes: published settings of the networks in the figures."""

from __future__ import annotations

from neurofreq.training._recipe import Recipe

MOUSE = Recipe(
    name="mouse",
    epochs=40,
    batch_size=64,
    lr=0.1,
    momentum=0.9,
    weight_decay=0.0,
    schedule="cyclic",
    phase_epochs=4,
    n_phases=5,
    factor=0.3,
    validation=0.01,
    monitor="loss",
    augment="shift_and_flip",
    alpha=20.0,
    n_pairs=16,
)
"""Joint training of Li et al. 2019 with similarities of mouse V1: grayscale CIFAR-10.

40 epochs with 64 images and 16 pairs of stimuli per step. The loss is cross-entropy
plus 20 times the similarity loss. The schedule, augmentation and validation come from
the code of Attias et al. 2024 (arXiv 2410.03952). It is not known whether Li et al.
2019 used the same settings.
"""

MONKEY = Recipe(
    name="monkey",
    network="vgg19_bn",
    epochs=407,
    batch_size=128,
    lr=0.1,
    momentum=0.75,
    weight_decay=5e-4,
    schedule="plateau",
    n_phases=5,
    patience=5,
    factor=0.3,
    validation=0.1,
    monitor="accuracy",
    augment="shift_flip_and_turn",
    layers="network.shared",
)
"""Co-training of Safarani et al. 2021 with responses of macaque V1: TinyImageNet."""

STANDARD = Recipe(
    name="standard",
    network="resnet18",
    epochs=200,
    batch_size=256,
    lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    schedule="cosine",
    augment="shift_and_flip",
)
"""A network without robust training: the settings of most published base networks."""

ADVERSARIAL = STANDARD.replace(
    name="adversarial",
    epochs=30,
    batch_size=128,
    lr=0.2,
    nesterov=False,
    schedule="triangle",
    adversary="linf",
    epsilon=8 / 255,
    attack_steps=1,
    attack_step=1.25,
)
"""Fast adversarial training, Wong, Rice & Kolter 2020 (arXiv 2001.03994): one step."""

ADVERSARIAL_PGD = STANDARD.replace(
    name="adversarial_pgd",
    batch_size=128,
    nesterov=False,
    validation=0.02,
    monitor="loss",
    adversary="linf",
    epsilon=8 / 255,
    attack_steps=10,
    attack_step=0.25,
)
"""Madry et al. 2018 with the settings of Rice, Wong & Kolter 2020 (arXiv 2002.11569).

Their learning rate falls in steps; this recipe's falls along a cosine. As in their
work, the epoch with the smallest loss on perturbed held-out images is kept.
"""

ADVERSARIAL_L2 = ADVERSARIAL_PGD.replace(
    name="adversarial_l2",
    adversary="l2",
    epsilon=128 / 255,
    attack_step=15 / 128,
)
"""`ADVERSARIAL_PGD` in the L2 ball of radius 128/255."""

NOISE = STANDARD.replace(name="noise", noise=0.1)
"""Gaussian noise on half of the images, as in Rusak et al. 2020 (arXiv 2001.06057).

Rusak et al. use a standard deviation of 0.5 on ImageNet; this recipe uses 0.1.
"""

AUGMIX = STANDARD.replace(
    name="augmix", epochs=100, batch_size=128, augmix=True, consistency=12.0
)
"""Hendrycks et al. 2020 (arXiv 1912.02781): AugMix with the consistency loss."""

BLUR = Recipe(
    name="blur",
    network="resnet18,blur=1.5",
    epochs=24,
    batch_size=32,
    lr=0.01,
    momentum=0.9,
    weight_decay=5e-4,
    decay_all=False,
    schedule="cyclic",
    phase_epochs=4,
    n_phases=3,
    factor=0.3,
    validation=0.1,
    monitor="loss",
    augment="shift_turn_flip_and_jitter",
)
"""The network of Li et al. 2023, Figures 4 and 5, with a Gaussian blur in front."""

PCA = BLUR.replace(name="pca", network="resnet18,pca=512")
"""`BLUR` with a projection on 512 principal components instead of the blur.

The principal components are those of the training images.
"""

RECIPES = {
    recipe.name: recipe
    for recipe in (
        STANDARD,
        ADVERSARIAL,
        ADVERSARIAL_PGD,
        ADVERSARIAL_L2,
        NOISE,
        AUGMIX,
        BLUR,
        PCA,
        MOUSE,
        MONKEY,
    )
}
"""Recipes by name, for the command line."""
