"""Networks of PyTorch and of what is built upon it, as users write them: without seeds."""

import hashlib
import json
import logging
import warnings

import lightning
import numpy as np
import torch
import transformers
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
results = {}


def digest(model):
    digester = hashlib.sha256()
    for tensor in model.state_dict().values():
        digester.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digester.hexdigest()


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.5), nn.Linear(144, 3)
    )


def fit(model, optimizer, batches):
    losses = []
    for images, labels in batches:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return losses


class Noisy(Dataset):
    """Images that are changed at random, with all three generators, whenever they are fetched."""

    def __len__(self):
        return 24

    def __getitem__(self, index):
        image = torch.full((1, 8, 8), index / 24) + torch.randn(1, 8, 8)
        return image + float(np.random.normal()), index % 3


def batches_of():
    return [
        batch for _ in range(2) for batch in DataLoader(Noisy(), batch_size=6, shuffle=True, num_workers=2)
    ]


batches = batches_of()
results["loader"] = [float(images.double().sum()) for images, _ in batches]
results["loader_workers_differ"] = (
    len({float(image.double().sum()) for images, _ in batches for image in images}) == 48
)

network = convolutional()
optimizer = torch.optim.Adam(network.parameters())
half = len(batches) // 2
losses = fit(network, optimizer, batches[:half])
torch.save(
    {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "generator": torch.get_rng_state(),
    },
    "checkpoint.pt",
)
losses += fit(network, optimizer, batches[half:])
results["torch"] = [digest(network), *losses]

saved = torch.load("checkpoint.pt")
resumed = convolutional()
continued = torch.optim.Adam(resumed.parameters())
resumed.load_state_dict(saved["network"])
continued.load_state_dict(saved["optimizer"])
torch.set_rng_state(saved["generator"])
fit(resumed, continued, batches[half:])
results["resumed_is_uninterrupted"] = digest(resumed) == digest(network)

shape = {
    "vocab_size": 32,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
language = transformers.BertForMaskedLM(transformers.BertConfig(**shape, max_position_embeddings=8))
words = torch.randint(0, 32, (4, 8))
optimizer = torch.optim.AdamW(language.parameters())
for _ in range(2):
    optimizer.zero_grad()
    language(input_ids=words, labels=words).loss.backward()
    optimizer.step()
results["transformers"] = digest(language)


class Line(lightning.LightningModule):
    """A line through points."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.2), nn.Linear(8, 1))

    def training_step(self, batch, _index):
        x, y = batch
        return nn.functional.mse_loss(self.layer(x), y)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


points = torch.linspace(-1, 1, 32).reshape(16, 2)
line = Line()
trainer = lightning.Trainer(
    max_epochs=2,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(line, DataLoader(TensorDataset(points, points[:, :1] ** 2), batch_size=4, shuffle=True))
results["lightning"] = digest(line)

with open("result.json", "w") as file:
    json.dump(results, file)
