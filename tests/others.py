"""Models as others write them, by their published descriptions: ResNet (He et al. 2016), ConvNeXt (Liu et al. 2022);
and small ones of transformers, with random weights."""

import torch
from torch import nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """conv-bn-relu, conv-bn-add-relu; one ReLU in place for both, as torchvision has it."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    """ResNet-18 with the stem's convolution of 7 x 7; ``width`` is 64 there, ``blocks`` 2 a stage."""

    def __init__(self, width=64, classes=10, blocks=2):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        widths = [width * 2**i for i in range(4)]
        stages = []
        for i, (before, after) in enumerate(zip([width, *widths], widths, strict=False)):
            first = BasicBlock(before, after, 1 if i == 0 else 2)
            stages.append(nn.Sequential(first, *(BasicBlock(after, after) for _ in range(blocks - 1))))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class ChannelsFirstNorm(nn.LayerNorm):
    """Layer norm over the channels of (batch, channels, height, width)."""

    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """Depth-wise convolution, layer norm with the channels last, Linear, GELU, Linear, layer scale, residual."""

    def __init__(self, channels):
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.full((channels,), 0.1))
        self.drop_path = nn.Identity()

    def forward(self, x):
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pwconv2(self.act(self.pwconv1(y)))
        return x + self.drop_path(y.permute(0, 3, 1, 2))


class ConvNeXt(nn.Module):
    def __init__(self, widths=(8, 16), classes=10):
        super().__init__()
        first, second = widths
        self.stem = nn.Sequential(nn.Conv2d(3, first, 4, 4), ChannelsFirstNorm(first, eps=1e-6))
        self.stage1 = nn.Sequential(ConvNeXtBlock(first), ConvNeXtBlock(first))
        self.down = nn.Sequential(ChannelsFirstNorm(first, eps=1e-6), nn.Conv2d(first, second, 2, 2))
        self.stage2 = nn.Sequential(ConvNeXtBlock(second))
        self.norm = nn.LayerNorm(second, eps=1e-6)
        self.head = nn.Linear(second, classes)

    def forward(self, x):
        x = self.stage2(self.down(self.stage1(self.stem(x))))
        return self.head(self.norm(x.mean((-2, -1))))


def lived_in(model):
    """Weights and statistics of norms as after training."""
    with torch.no_grad():
        for module in model.modules():
            for name in ("running_mean", "bias") if "Norm" in type(module).__name__ else ():
                if isinstance(getattr(module, name, None), torch.Tensor):
                    getattr(module, name).normal_(0, 0.3)
            for name in ("running_var", "weight") if "Norm" in type(module).__name__ else ():
                if isinstance(getattr(module, name, None), torch.Tensor):
                    getattr(module, name).uniform_(0.5, 1.5)
    return model


_STAGES = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2]}
_CONVNEXT = {"hidden_sizes": [8, 16], "depths": [1, 2], "num_stages": 2, "layer_scale_init_value": 0.5}
_ENCODER = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
_IMAGES, _TEXTS = "ForImageClassification", "ForSequenceClassification"

#: Models of transformers by the first part of their classes' names: the second part, and what the configuration sets.
TRANSFORMERS = {
    "ResNet": (_IMAGES, {**_STAGES, "layer_type": "basic"}),
    "RegNet": (_IMAGES, {**_STAGES, "groups_width": 4}),
    "ConvNext": (_IMAGES, _CONVNEXT),
    "ConvNextV2": (_IMAGES, _CONVNEXT),
    "MobileNetV1": (_IMAGES, {"depth_multiplier": 0.25}),
    "MobileNetV2": (_IMAGES, {"depth_multiplier": 0.35}),
    "EfficientNet": (_IMAGES, {"width_coefficient": 0.25, "depth_coefficient": 0.3, "hidden_dim": 320}),
    "ViT": (_IMAGES, {**_ENCODER, "image_size": 32, "patch_size": 8}),
    "Bert": (_TEXTS, {**_ENCODER, "vocab_size": 50}),
}


def of_transformers(transformers, name, samples=4, side=32, **settings):
    """A lived-in model that tells 5 classes apart, and a batch for it, by the names of its arguments."""
    task, own = TRANSFORMERS[name]
    config = getattr(transformers, f"{name}Config")(**{**own, "num_labels": 5, **settings})
    model = lived_in(drawn(getattr(transformers, name + task)(config))).eval()
    if task == _TEXTS:
        return model, {"input_ids": torch.randint(0, config.vocab_size, (samples, 7))}
    return model, {"pixel_values": torch.randn(samples, 3, side, side)}


def drawn(model):
    """Weights of layers by He et al. 2015: with transformers' own start, all inputs have nearly the same answer."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return model
