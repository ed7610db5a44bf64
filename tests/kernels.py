"""What the tests of the compiled kernels share: a training step of a unit, and how two are compared."""

import torch
from torch import nn

ACTIVATIONS = [
    *(nn.SELU(), nn.ELU(0.7), nn.ReLU(), nn.LeakyReLU(0.2), nn.Identity(), nn.SiLU(), nn.Tanh(), nn.GELU()),
]


def randomised(unit, seed=0):
    """Give every weight and statistic a value that is not its start, so that no term can hide."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in unit.state_dict().items():
            if value.is_floating_point():
                drawn = torch.randn(value.shape, generator=generator) * 0.5
                value.copy_(drawn.abs() + 0.5 if "running_var" in name else drawn)
    return unit


def run(unit, x, seed=0):
    """The output, the gradients of the input and of all weights, and the running statistics after a training step."""
    x = x.clone().requires_grad_()
    output = unit(x)
    generator = torch.Generator().manual_seed(seed)
    output.backward(torch.randn(output.shape, generator=generator).to(output.dtype))
    weights = {f"grad of {name}": p.grad for name, p in unit.named_parameters() if p.grad is not None}
    return {"output": output.detach(), "grad of x": x.grad, **weights, **dict(unit.named_buffers())}


def assert_agrees(found, expected, tolerance=2e-4):
    """Within the tolerance of each value's largest number: layers of float32 are part of what is compared."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        scale = max(1.0, value.abs().max().item())
        torch.testing.assert_close(
            found[name].double(),
            value.double(),
            rtol=0,
            atol=tolerance * scale,
            msg=lambda m, name=name: f"{name}: {m}",
        )
