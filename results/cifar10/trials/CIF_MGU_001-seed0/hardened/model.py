"""A plain PyTorch network; mgu wrote this file, and it needs only torch and safetensors.

    from model import load

    network = load()  # in evaluation mode, with the weights beside this file
    outputs = network(x)  # x of shape (batch, *INPUT_SHAPE) and of type torch.float32
"""

import hashlib
from pathlib import Path

import safetensors.torch
from torch import nn

INPUT_SHAPE = (3, 32, 32)
CLASSES = ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck')
WEIGHTS = 'model.safetensors'
SHA256 = '24dd0843b856734fda53938ddf0e6787a1a6d7a365b3c04dda009a8858dcd935'


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer_1_linear = nn.Conv2d(3, 32, kernel_size=(3, 3), stride=(2, 2))
        self.layer_1_bn = nn.BatchNorm2d(32, eps=0.001, momentum=0.01)
        self.layer_1_bn_pre = nn.SELU()
        self.layer_2_linear = nn.Conv2d(32, 42, kernel_size=(3, 3))
        self.layer_2_no_norm = nn.SELU()
        self.layer_2_bn_post = nn.BatchNorm2d(42, eps=0.001, momentum=0.01)
        self.layer_3_linear = nn.Conv2d(42, 55, kernel_size=(3, 3))
        self.layer_3_no_norm = nn.SELU()
        self.layer_3_ln = nn.LayerNorm((55,), eps=0.001)
        self.layer_4_linear = nn.Conv2d(55, 73, kernel_size=(3, 3))
        self.layer_4_no_norm = nn.SELU()
        self.layer_4_ln = nn.LayerNorm((73,), eps=0.001)
        self.layer_5_linear = nn.Conv2d(73, 97, kernel_size=(3, 3))
        self.layer_5_no_norm = nn.SELU()
        self.layer_5_ln = nn.LayerNorm((97,), eps=0.001)
        self.layer_6_linear = nn.Conv2d(97, 128, kernel_size=(3, 3))
        self.layer_6_no_norm = nn.SELU()
        self.layer_6_bn_post = nn.BatchNorm2d(128, eps=0.001, momentum=0.01)
        self.layer_7_linear = nn.Conv2d(128, 169, kernel_size=(3, 3))
        self.layer_7_no_norm = nn.SELU()
        self.layer_7_bn_post = nn.BatchNorm2d(169, eps=0.001, momentum=0.01)
        self.layer_8_linear = nn.Conv2d(169, 223, kernel_size=(3, 3), padding=(1, 1))
        self.layer_8_no_norm = nn.SELU()
        self.layer_9_linear = nn.Conv2d(223, 294, kernel_size=(3, 3), padding=(1, 1))
        self.layer_9_no_norm = nn.SELU()
        self.layer_9_ln = nn.LayerNorm((294,), eps=0.001)
        self.layer_10_linear = nn.Conv2d(294, 389, kernel_size=(3, 3), padding=(1, 1))
        self.layer_10_no_norm = nn.SELU()
        self.layer_10_bn_post = nn.BatchNorm2d(389, eps=0.001, momentum=0.01)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(p=0.3)
        self.readout = nn.Linear(389, 10)

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
        x = x.movedim(1, -1)
        x = self.layer_4_ln(x)
        x = x.movedim(-1, 1)
        x = self.layer_5_linear(x)
        x = self.layer_5_no_norm(x)
        x = x.movedim(1, -1)
        x = self.layer_5_ln(x)
        x = x.movedim(-1, 1)
        x = self.layer_6_linear(x)
        x = self.layer_6_no_norm(x)
        x = self.layer_6_bn_post(x)
        x = self.layer_7_linear(x)
        x = self.layer_7_no_norm(x)
        x = self.layer_7_bn_post(x)
        x = self.layer_8_linear(x)
        x = self.layer_8_no_norm(x)
        x = self.layer_9_linear(x)
        x = self.layer_9_no_norm(x)
        x = x.movedim(1, -1)
        x = self.layer_9_ln(x)
        x = x.movedim(-1, 1)
        x = self.layer_10_linear(x)
        x = self.layer_10_no_norm(x)
        x = self.layer_10_bn_post(x)
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
