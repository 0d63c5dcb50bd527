from __future__ import annotations

import pytest

from reproof.capture.credentials import holds_credentials


@pytest.mark.parametrize(
    "name",
    [
        "${HOME}/.netrc",
        "${HOME}/.cache/huggingface/token",
        "${HOME}/.cache/huggingface/stored_tokens",
        "${HOME}/.ssh/config",
        "${HOME}/.ssh/id_ed25519",
        "${HOME}/.aws/credentials",
        "${HOME}/.aws/config",
        "${HOME}/.config/gcloud/application_default_credentials.json",
        "${HOME}/.config/tool/my-credentials.json",
        "${HOME}/.local/share/keyrings/login.keyring",
        "${HOME}/.local/share/python_keyring/keyring_pass.cfg",
        "${HOME}/.docker/config.json",
        "${HOME}/.kaggle/kaggle.json",
        "${HOME}/server.pem",
        "/root/.netrc",
        "/data/hf/token",
    ],
)
def test_what_holds_credentials(name: str) -> None:
    assert holds_credentials(name)


@pytest.mark.parametrize(
    "name",
    [
        "${HOME}/.cache/huggingface/hub/models--a--b/snapshots/c/tokenizer.json",
        "${HOME}/.cache/huggingface/hub/models--a--b/snapshots/c/special_tokens_map.json",
        "${HOME}/nltk_data/tokenizers/punkt/english.pickle",
        "${HOME}/.keras/keras.json",
        "${HOME}/data/credentials-of-companies.csv",
        "data/token",
        "token",
    ],
)
def test_what_does_not(name: str) -> None:
    assert not holds_credentials(name)
