from __future__ import annotations

import pytest

from reproof.capture.secrets import announces_secret, contains_secret

# assembled, so that no scanner takes this file for a leak
REAL = [
    "AKIA" + "IOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "11ABC" * 6,
    "glpat-" + "x1y2z3" * 4,
    "hf_" + "AbCd" * 8,
    "sk-" + "proj-" + "Ab12" * 8,
    "sk_live_" + "Ab12" * 6,
    "pypi-" + "AgEIcHlwaS5vcmc" * 2,
    "npm_" + "Ab12" * 9,
    "xoxb-" + "123456789012-abcdef",
    "AIza" + "Sy" * 18,
    "eyJhbGciOiJI" + ".eyJzdWIiOiIx" + ".c2ln",
    "-----BEGIN RSA " + "PRIVATE KEY-----",
    "https://user:" + "hunter2@example.org/x",
    "postgresql://app:" + "p4ss@db/prod",
    "https://b.s3.amazonaws.com/k?X-Amz-Signature=" + "ab12" * 8,
    "https://x.blob.core.windows.net/c?sv=1&sig=" + "abcdef123",
    "Authorization: Bearer " + "abcdef.ghijkl-1234",
    "tool --password " + "hunter2",
    "tool --api-key=" + "xyz",
]


@pytest.mark.parametrize("text", REAL, ids=range(len(REAL)))
def test_secrets_are_known_by_their_form(text: str) -> None:
    assert contains_secret(text)
    assert contains_secret(f"before {text} after")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "en_US.UTF-8",
        "/usr/lib/x86_64-linux-gnu:/opt/lib",
        "--xla_gpu_deterministic_ops=true",
        "9f2c41d0" * 8,
        "sha256:" + "ab" * 32,
        "https://example.org/team/bikes.git",
        "https://user@example.org/x",
        "git@example.org:team/bikes.git",
        "granularity=fine,compact,1,0",
        "risk-assessment-of-the-model-2024",
        ":4096:8",
    ],
)
def test_ordinary_values_are_not(text: str) -> None:
    assert not contains_secret(text)


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "OPENAI_API_KEY",
        "openaiApiKey",
        "dbPassword",
        "DB_PASSWD",
        "MLFLOW_TRACKING_TOKEN",
        "SESSION_COOKIE",
        "Authorization",
        "AZURE_STORAGE_CONNECTION_STRING",
        "GOOGLE_SERVICE_ACCOUNT",
        "private-key",
        "SSH_KEY_PATH",
        "SENTRY_DSN",
    ],
)
def test_names_announce_secrets(name: str) -> None:
    assert announces_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "TOKENIZERS_PARALLELISM",
        "OMP_NUM_THREADS",
        "KMP_AFFINITY",
        "PYTHONHASHSEED",
        "XLA_FLAGS",
        "TF_AUTOTUNE_THRESHOLD",
        "max_tokenized_length",
        "keyboard",
        "n_keys",
        "author",
        "patience",
    ],
)
def test_ordinary_names_do_not(name: str) -> None:
    assert not announces_secret(name)
