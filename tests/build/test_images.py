"""Images: the words for each engine, reading an OCI layout, and real images built twice."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from building import commit
from reproof.build.images import BuildKit, ImageRequest, choose_engine, read_layout
from reproof.errors import ExecutionError, ProjectError
from reproof.workflow.build.build import BuildOptions
from reproof.workflow.build.image import ImageOptions, build_image, check_image

#: A program without libraries that writes the time into the files that it is told.
STAMP = """
#include <stdio.h>
#include <time.h>
int main(int count, char **names) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    for (int i = 1; i < count; i++) fprintf(fopen(names[i], "w"), "%ld", now.tv_nsec);
    return 0;
}
"""
SCRATCH = "FROM scratch\nCOPY data /data\nCOPY more /more\n"


def put(folder: Path, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    (folder / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    (folder / "blobs/sha256" / digest).write_bytes(data)
    return f"sha256:{digest}"


@pytest.mark.parametrize("nested", [False, True])
def test_a_layout_is_read(tmp_path: Path, nested: bool) -> None:
    config = put(tmp_path, json.dumps({"rootfs": {"diff_ids": ["sha256:aa", "sha256:bb"]}}).encode())
    manifest = put(tmp_path, json.dumps({"config": {"digest": config}, "layers": []}).encode())
    if nested:
        manifest = put(tmp_path, json.dumps({"manifests": [{"digest": manifest}]}).encode())
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [{"digest": manifest}]}))
    assert read_layout(tmp_path) == (config.removeprefix("sha256:"), ("aa", "bb"))


def test_docker_is_told_to_rewrite_times() -> None:
    request = ImageRequest(context=Path("/c"), file=Path("/c/Dockerfile"), epoch=7, network=False)
    words = BuildKit.words(request, Path("/o.tar"))
    assert "SOURCE_DATE_EPOCH=7" in words
    assert "type=oci,dest=/o.tar,rewrite-timestamp=true" in words
    assert "--provenance=false" in words
    assert words[words.index("--network") + 1] == "none"


def test_no_program_for_images(monkeypatch: pytest.MonkeyPatch, golden: Callable[..., None]) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ExecutionError) as caught:
        choose_engine()
    golden("build/no_engine", caught.value)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return commit(tmp_path / "image", {"Dockerfile": SCRATCH, "data": "1 2 3\n", "more/x": "x", "run.sh": ""})


@pytest.mark.needs("buildah")
def test_an_image_is_the_same_twice_and_again(project: Path) -> None:
    options = ImageOptions(
        build=BuildOptions(folder=project), engine="buildah", tag="localhost/reproof-test:1"
    )
    report = build_image(options)
    try:
        assert report.grade == "identical"
        (image,) = report.info.outputs
        known = subprocess.run(["buildah", "inspect", "--type", "image", image.name], capture_output=True)
        assert image.sha256 in known.stdout.decode()
        document = project / "dist" / report.document
        assert check_image(document, options).grade == "identical"
        text = document.read_text().replace(image.layers[0], "0" * 64)
        document.write_text(text)
        changed = check_image(document, options)
        assert changed.grade == "different"
        assert changed.difference is not None
        assert changed.difference.children[0].subject == "layer 1"
    finally:
        subprocess.run(["buildah", "rmi", "localhost/reproof-test:1"], capture_output=True)


@pytest.mark.needs("buildah", "cc")
def test_the_layer_and_files_that_differ_are_named(tmp_path: Path) -> None:
    project = tmp_path / "image"
    project.mkdir()
    (tmp_path / "stamp.c").write_text(STAMP)
    subprocess.run(["cc", "-static", tmp_path / "stamp.c", "-o", project / "stamp"], check=True)
    text = "FROM scratch\nCOPY stamp /stamp\nCOPY empty /var/log/empty\n"
    text += 'RUN ["/stamp", "/var/log/x.log", "/old.pyc", "/when", "/uv_cache.json"]\n'
    commit(project, {"Dockerfile": text, "empty": ""})
    report = build_image(ImageOptions(build=BuildOptions(folder=project), engine="buildah"))
    assert report.grade == "different"
    assert not (project / "dist").exists()
    found = {cause.name: cause.files[0].rpartition(": ")[2].lstrip("./") for cause in report.causes}
    assert found == {
        "changes-each-time": "when",
        "package-manager-state": "var/log/x.log",
        "pyc-time": "old.pyc",
        "uv-cache-json": "uv_cache.json",
    }


@pytest.mark.needs("buildah")
def test_what_cannot_be_built(project: Path, golden: Callable[..., None]) -> None:
    def refused(**options: object) -> ProjectError:
        with pytest.raises(ProjectError) as caught:
            build_image(ImageOptions(build=BuildOptions(folder=project), engine="buildah", **options))
        return caught.value

    golden("build/no_dockerfile", refused(file="Other"))
    (project / "Dockerfile").write_text("FROM scratch\nCOPY gone /gone\n")
    commit(project, {})
    assert refused().message == "`Dockerfile` cannot be built"
