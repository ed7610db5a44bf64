"""A plain PyTorch network; mgu wrote this file, and it needs only torch and safetensors.

    from model import load

    network = load()  # in evaluation mode, with the weights beside this file
    outputs = network(x)  # x of shape (batch, *INPUT_SHAPE) and of type torch.float32
"""

import hashlib
from pathlib import Path

import safetensors.torch
from torch import nn

INPUT_SHAPE = (1, 28, 28)
CLASSES = ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
WEIGHTS = 'model.safetensors'
SHA256 = 'f3bc7a9b33fece95129be141d7bb52c0949a4a122b78a2b22ec2ae7266969aaf'


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer_1_linear = nn.Conv2d(1, 16, kernel_size=(3, 3), stride=(2, 2))
        self.layer_1_bn = nn.BatchNorm2d(16, eps=0.001, momentum=0.01)
        self.layer_1_bn_pre = nn.SELU()
        self.layer_2_linear = nn.Conv2d(16, 32, kernel_size=(3, 3), stride=(2, 2))
        self.layer_2_no_norm = nn.SELU()
        self.layer_2_bn_post = nn.BatchNorm2d(32, eps=0.001, momentum=0.01)
        self.layer_3_linear = nn.Conv2d(32, 64, kernel_size=(3, 3))
        self.layer_3_no_norm = nn.SELU()
        self.layer_3_ln = nn.LayerNorm((64,), eps=0.001)
        self.layer_4_linear = nn.Conv2d(64, 128, kernel_size=(3, 3))
        self.layer_4_no_norm = nn.SELU()
        self.layer_4_bn_post = nn.BatchNorm2d(128, eps=0.001, momentum=0.01)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(p=0.3)
        self.readout = nn.Linear(128, 10)

    def forward(self, x):
        x = self.layer_1_linear(x)
        x = self.layer_1_bn(x)
        x = self.layer_1_bn_pre(x)
        x = self.layer_2_linear(x)
        x = self.layer_2_no_norm(x)
        x = self.layer_2_bn_post(x)
        x = self.layer_3_linear(x)
        x = self.layer_3_no_norm(x)
        x = x.movedim(1, -1)
        x = self.layer_3_ln(x)
        x = x.movedim(-1, 1)
        x = self.layer_4_linear(x)
        x = self.layer_4_no_norm(x)
        x = self.layer_4_bn_post(x)
        x = self.pool(x)
        x = self.flatten(x)
        x = self.dropout(x)
        x = self.readout(x)
        return x


def load(folder=Path(__file__).parent):
    """The network with the weights in the folder; raises ValueError where they are not those written with this file."""
    weights = (Path(folder) / WEIGHTS).read_bytes()
    if hashlib.sha256(weights).hexdigest() != SHA256:
        raise ValueError(f"{Path(folder) / WEIGHTS} does not hold the weights that were written with this file")
    network = Network()
    network.load_state_dict(safetensors.torch.load(weights), strict=True, assign=True)
    return network.eval()
