"""Files that hold credentials, by their usual names: never an input of a run, never in a clean room."""

from __future__ import annotations

#: Files of these names, wherever they are outside the project.
_FILES = frozenset(
    {
        "_netrc",
        ".boto",
        ".databrickscfg",
        ".dockercfg",
        ".git-credentials",
        ".htpasswd",
        ".netrc",
        ".npmrc",
        ".pgpass",
        ".pypirc",
        ".s3cfg",
        ".vault-token",
        "stored_tokens",
        "token",
        "tokens",
        "token.json",
    }
)
#: Folders that hold keys, tokens and who is logged in.
_FOLDERS = frozenset(
    {
        ".aws",
        ".azure",
        ".docker",
        ".gnupg",
        ".kaggle",
        ".kube",
        ".password-store",
        ".ssh",
        "gcloud",
        "keyrings",
        "pip-keyring",
        "python_keyring",
    }
)
_ENDINGS = (".pem", ".key", ".p12", ".pfx", ".keystore", ".kdbx")


def holds_credentials(name: str) -> bool:
    """Whether the file of this name in a record, outside the project, usually holds a secret.

    Decided by its name alone: ``${HOME}/.netrc``, ``${HOME}/.cache/huggingface/token``,
    ``${HOME}/.config/gcloud/...``, what has *credentials* in a hidden path. Files of the project
    (relative names) are what the user put there, and are left alone.
    """
    if not name.startswith(("/", "${HOME}/")):
        return False
    parts = name.lower().split("/")[1:]
    leaf = parts[-1]
    if leaf in _FILES or leaf.endswith(_ENDINGS) or leaf.startswith(("id_rsa", "id_ed25519", "id_ecdsa")):
        return True
    if not _FOLDERS.isdisjoint(parts[:-1]):
        return True
    hidden = next((number for number, part in enumerate(parts) if part.startswith(".")), None)
    return hidden is not None and any("credential" in part for part in parts[hidden:])
