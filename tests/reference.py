"""The unit in float64 NumPy, written from the paper's equations and independent of the chain and of any framework."""

import itertools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

EPSILON = 1e-3


def selu(z):
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def linear(x, weight, bias):
    return x @ weight.T + bias


def convolution(x, weight, bias, *, stride, padding, dilation, groups):
    """x (batch, in, *positions), weight (out, in / groups, *kernel) -> (batch, out, *positions)."""
    axes = x.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in padding]])
    span = [d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True)]
    windows = sliding_window_view(x, span, axis=tuple(range(2, x.ndim)))
    windows = windows[(..., *[slice(None, None, d) for d in dilation])]
    windows = windows[(slice(None), slice(None), *[slice(None, None, s) for s in stride])]
    group_in, group_out = x.shape[1] // groups, weight.shape[0] // groups
    outputs = []
    for group in range(groups):
        part = windows[:, group * group_in : (group + 1) * group_in]
        kernel = weight[group * group_out : (group + 1) * group_out]
        contracted = [1, *range(2 + axes, 2 + 2 * axes)]
        value = np.tensordot(part, kernel, axes=(contracted, list(range(1, 2 + axes))))
        outputs.append(np.moveaxis(value, -1, 1))
    return np.concatenate(outputs, axis=1) + np.reshape(bias, (-1, *[1] * axes))


def per_channel(values, ndim, axis):
    shape = [1] * ndim
    shape[axis] = -1
    return np.asarray(values).reshape(shape)


def batch_norm(z, norm, axis, *, training):
    others = tuple(i for i in range(z.ndim) if i != axis % z.ndim)
    mean = z.mean(others) if training else norm["running_mean"]
    var = z.var(others) if training else norm["running_var"]
    scaled = (z - per_channel(mean, z.ndim, axis)) / np.sqrt(per_channel(var, z.ndim, axis) + EPSILON)
    return scaled * per_channel(norm["weight"], z.ndim, axis) + per_channel(norm["bias"], z.ndim, axis)


def layer_norm(z, norm, axis):
    scaled = (z - z.mean(axis, keepdims=True)) / np.sqrt(z.var(axis, keepdims=True) + EPSILON)
    return scaled * per_channel(norm["weight"], z.ndim, axis) + per_channel(norm["bias"], z.ndim, axis)


def rms_norm(z, norm, axis):
    scaled = z / np.sqrt((z**2).mean(axis, keepdims=True) + EPSILON)
    return scaled * per_channel(norm["weight"], z.ndim, axis)


def group_norm(z, norm, axis, most=8):
    """Sample by sample, group by group; at most ``most`` groups, instance norm having as many as channels."""
    channels = z.shape[axis]
    size = channels // max(n for n in range(1, min(most, channels) + 1) if channels % n == 0)
    output = np.empty_like(z)
    for sample, target in zip(np.moveaxis(z, axis, 1), np.moveaxis(output, axis, 1), strict=True):
        for i in range(0, channels, size):
            part = sample[i : i + size]
            target[i : i + size] = (part - part.mean()) / np.sqrt(part.var() + EPSILON)
    return output * per_channel(norm["weight"], z.ndim, axis) + per_channel(norm["bias"], z.ndim, axis)


def instance_norm(z, norm, axis):
    return group_norm(z, norm, axis, most=z.shape[axis])


def squeeze_excite(z, weights, axis):
    """Hu et al. 2019, equations 2 to 4."""
    squeezed = linear(pooled(z, axis), weights["squeeze.weight"], weights["squeeze.bias"])
    excited = linear(np.maximum(squeezed, 0), weights["excite.weight"], weights["excite.bias"])
    return z * spread(sigmoid(excited), z.ndim, axis)


#: The further norms and what comes after the gate of all norms, by name.
NORMS = {"rms_norm": rms_norm, "group_norm": group_norm, "instance_norm": instance_norm}
RECALIBRATIONS = {"squeeze_excite": squeeze_excite}


def with_processors(value, source, gates, table, weights, axis):
    """``value`` against each of the table's processors that the unit has, of ``source`` or of what is left of it."""
    for name in [name for name in weights if name in table]:
        gate = next(gates)
        processed = table[name](value if source is None else source, weights[name], axis)
        value = gate * value + (1 - gate) * processed
    return value


def code_form(x, layer, bypass, gates, norms, axis, *, training, residual_gate=True):
    """Section 4.2: the listing of MultiGatedUnit_Snippet._forward."""
    g = iter(gates)
    linear_x, t = layer(x), bypass(x)
    x_act = selu(linear_x)
    bn_act = selu(batch_norm(linear_x, norms["bn"], axis, training=training))
    act_bn = batch_norm(x_act, norms["bn_post"], axis, training=training)
    act_ln = layer_norm(x_act, norms["ln"], axis)
    gate = next(g)
    order = gate * bn_act + (1 - gate) * act_bn
    gate = next(g)
    bn_ln = gate * order + (1 - gate) * act_ln
    bn_ln = with_processors(bn_ln, x_act, g, NORMS, norms, axis)
    gate = next(g)
    processed = gate * bn_ln + (1 - gate) * x_act
    processed = with_processors(processed, None, g, RECALIBRATIONS, norms, axis)
    if residual_gate:
        gate = next(g)
        processed = gate * processed + (1 - gate) * (processed + t)
    gate = next(g)
    return gate * t + (1 - gate) * processed


def equations_form(x, layer, bypass, gates, norms, axis, *, training, residual_gate=True):
    """Section 4.1, equations 1 to 19."""
    g = iter(gates)
    linear_x, t = layer(x), bypass(x)
    f_bn1 = batch_norm(selu(linear_x), norms["bn_post"], axis, training=training)
    f_bn2 = selu(batch_norm(linear_x, norms["bn"], axis, training=training))
    gate = next(g)
    f_bnpp = gate * f_bn1 + (1 - gate) * f_bn2
    f_ln = selu(layer_norm(linear_x, norms["ln_linear"], axis))
    gate = next(g)
    f_bnln = gate * f_bnpp + (1 - gate) * f_ln
    f_bnln = with_processors(f_bnln, selu(linear_x), g, NORMS, norms, axis)
    gate = next(g)
    f = gate * f_bnln + (1 - gate) * selu(linear_x)
    f = with_processors(f, None, g, RECALIBRATIONS, norms, axis)
    if residual_gate:
        gate = next(g)
        f = gate * f + (1 - gate) * (f + t)
    gate = next(g)
    return gate * f + (1 - gate) * t


FORMS = {"code": code_form, "equations": equations_form}


def pooled(x, axis):
    """The mean over all axes but the batch and the channels."""
    positions = tuple(i for i in range(1, x.ndim) if i != axis % x.ndim)
    return x.mean(positions) if positions else x


def spread(gate, ndim, axis):
    """A gate of (batch, channels) at every position of values with ``ndim`` axes."""
    positions = (1,) * (ndim - 2)
    batch, channels = gate.shape
    return gate.reshape((batch, channels, *positions) if axis == 1 else (batch, *positions, channels))


def decisions(gates):
    """Every way to decide the gates: dicts from gate name to the name of a side."""
    sides = [[(gate.name, side) for side in (gate.open, gate.closed)] for gate in gates]
    return [dict(choice) for choice in itertools.product(*sides)]
