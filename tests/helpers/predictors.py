"""Made-up files of the published predictive models, with their keys."""

import torch

SCAN = "readout.12345-1-2"


def randomly(shapes):
    """Tensors of these shapes; norms get variances and weights above 0."""
    generator = torch.Generator().manual_seed(0)
    found = {}
    for key, shape in shapes.items():
        one = torch.randn(shape, generator=generator)
        if key.endswith(("running_var", "norm.weight", "bn.weight")):
            one = one.abs() + 0.5
        found[key] = one / max(1, one[0].numel()) ** 0.5 if one.ndim > 1 else one
    return found


def norm(prefix, n):
    return {
        f"{prefix}.{key}": (n,)
        for key in ("weight", "bias", "running_mean", "running_var")
    }


def sensorium(n=4, k=5):
    shapes = {"core.features.layer0.conv.weight": (n, 1, 9, 9)}
    for layer in range(3):
        shapes |= norm(f"core.features.layer{layer}.norm", n)
    for layer in (1, 2):
        home = f"core.features.layer{layer}.ds_conv"
        shapes |= {
            f"{home}.in_depth_conv.weight": (n, n, 1, 1),
            f"{home}.spatial_conv.weight": (n, 1, 7, 7),
            f"{home}.out_depth_conv.weight": (n, n, 1, 1),
        }
    shapes |= {
        f"{SCAN}._features": (1, n, 1, k), f"{SCAN}.bias": (k,),
        f"{SCAN}.source_grid": (k, 2), f"{SCAN}.sigma": (1, k, 2, 2),
        f"{SCAN}.mu_transform.0.weight": (6, 2), f"{SCAN}.mu_transform.0.bias": (6,),
        f"{SCAN}.mu_transform.2.weight": (2, 6), f"{SCAN}.mu_transform.2.bias": (2,),
    }  # fmt: skip
    tensors = randomly(shapes)
    tensors["core._input_weights_regularizer.laplace.filter"] = torch.ones(1, 1, 3, 3)
    tensors["core.features.layer0.norm.num_batches_tracked"] = torch.tensor(7)
    return tensors


def v4(n=4, k=3, pool=2):
    shapes = {"layer0.conv.weight": (n, 3, 5, 5), "layer0.conv.bias": (n,)}
    for layer in (1, 2, 3, 4):
        shapes |= {
            f"layer{layer}.depthwise.weight": (n, 1, 5, 5),
            f"layer{layer}.pointwise.weight": (n, n, 1, 1),
            f"layer{layer}.pointwise.bias": (n,),
        }
    for layer in range(5):
        shapes |= norm(f"layer{layer}.bn", n)
    shapes |= {
        "mixing.weight": (k, n, 1, 1), "mixing.bias": (k,),
        "pool.weight": (k, 1, pool, pool), "pool.bias": (k,),
    }  # fmt: skip
    return randomly(shapes)
