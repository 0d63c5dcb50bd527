"""A transformers model of the hub's cache: recorded with everything it needs, and loaded again without network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from projects import Project, user_environment

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MAKE = """
import sys, torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
torch.manual_seed(0)
size = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=4)
BertModel(BertConfig(**size)).save_pretrained(sys.argv[1])
words = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "a": 2, "b": 3}, unk_token="[UNK]"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(sys.argv[1])
"""
TRAIN = """
import torch
from transformers import AutoModel, AutoTokenizer
words = AutoTokenizer.from_pretrained("org/tiny")(["a b", "b"], padding=True, return_tensors="pt")
model = AutoModel.from_pretrained("org/tiny").eval()
with torch.no_grad():
    result = model(**words).last_hidden_state
open("result.txt", "w").write(repr(result.flatten().tolist()))
"""


@pytest.mark.frameworks
@pytest.mark.needs("torch", "transformers", "bwrap")
def test_from_pretrained_works_in_the_room(tmp_path: Path) -> None:
    home = tmp_path / "home"
    top = home / ".cache/huggingface/hub/models--org--tiny"
    for folder in ("refs", "blobs", f"snapshots/{COMMIT}"):
        (top / folder).mkdir(parents=True)
    subprocess.run([sys.executable, "-c", MAKE, top / f"snapshots/{COMMIT}"], check=True, capture_output=True)
    (top / "refs/main").write_text(COMMIT)
    for number, path in enumerate(sorted((top / f"snapshots/{COMMIT}").iterdir())):
        path.rename(top / f"blobs/{number}")
        path.symlink_to(f"../../blobs/{number}")
    project = Project(tmp_path / "project", user_environment(home))
    project.folder.mkdir()
    project.env.pop("XDG_CACHE_HOME", None)
    project.write("train.py", TRAIN)
    project.commit()
    project.reproof("run", "--env-manager", "local", "--", "python", "train.py", expect=0, HF_HUB_OFFLINE="1")
    found = {each["name"].rpartition("/")[2]: each for each in project.record()["materials"]}
    assert {"main", "config.json", "model.safetensors", "tokenizer.json"} <= set(found)
    assert found["model.safetensors"]["target"].startswith("../../blobs/")  # read by Rust alone
    assert project.record()["environment"]["variables"]["HF_HUB_OFFLINE"] == "1"
    assert project.verify("--isolation", "bubblewrap", expect=0)["outcome"] == 0
