"""The Kubernetes overlays build, and hold what the house promises of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mirror.errors import ExitCode
from mirror.service.http import DEFAULT_PORT
from mirror.settings import Settings
from mirror.sources import environment_name, load_settings

ROOT = Path(__file__).parents[2]
OVERLAYS = ROOT / "deploy" / "kubernetes"

pytestmark = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl builds the overlays, and it is not installed"
)


@cache
def built(overlay: str) -> dict[str, dict[str, Any]]:
    """The overlay's objects by kind and name, as Kubernetes' own types read them."""
    yaml = _run("kubectl", "kustomize", str(OVERLAYS / overlay))
    # typed, so a wrong type is an error and an unknown field is gone
    text = _run("kubectl", "label", "--local", "-f", "-", "x=y", "-o", "json", given=yaml).lstrip()
    objects = {}
    while text:
        item, end = json.JSONDecoder().raw_decode(text)
        objects[f"{item['kind']}/{item['metadata']['name']}"] = item
        text = text[end:].lstrip()
    return objects


def _run(*command: str, given: str | None = None) -> str:
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


WORK = {
    "job": ("job", "Job/mirror-sync"),
    "watch": ("watch", "Deployment/mirror-watch"),
    "shards": ("shards", "Job/mirror-shards"),
    "merge": ("shards", "Job/mirror-merge"),
    "loader": ("loader", "Pod/mirror-loader"),
}
"""What runs: its overlay, and its object there."""
SYNCING = ["job", "watch", "shards"]
MIRRORING = [*SYNCING, "merge"]
RESUMABLE = {ExitCode.UNAVAILABLE, ExitCode.DESTINATION, ExitCode.INTERRUPTED}


def pod(work: str) -> dict[str, Any]:
    overlay, name = WORK[work]
    spec: dict[str, Any] = built(overlay)[name]["spec"]
    return spec["template"]["spec"] if "template" in spec else spec


def container(work: str) -> dict[str, Any]:
    (only,) = pod(work)["containers"]
    return dict(only)


def test_no_job_is_tried_again_where_that_can_t_help() -> None:
    """Every exit code is either final or counted; none is forgotten."""
    job = built("job")["Job/mirror-sync"]["spec"]
    final, disrupted = job["podFailurePolicy"]["rules"]
    assert final["action"] == "FailJob"
    assert final["onExitCodes"]["operator"] == "In"
    assert disrupted["action"] == "Ignore"
    assert disrupted["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert set(final["onExitCodes"]["values"]) == set(ExitCode) - RESUMABLE - {ExitCode.COMPLETE}
    assert job["backoffLimit"] >= 3
    assert pod("job")["restartPolicy"] == "Never"


def test_a_shard_that_can_t_be_helped_ends_the_others_only_where_they_can_t_either() -> None:
    job = built("shards")["Job/mirror-shards"]["spec"]
    one, all_of_them, disrupted = job["podFailurePolicy"]["rules"]
    assert (one["action"], all_of_them["action"]) == ("FailIndex", "FailJob")
    own, shared = ({*rule["onExitCodes"]["values"]} for rule in (one, all_of_them))
    assert own == {ExitCode.PARTIAL, ExitCode.INTERNAL}
    assert own | shared == set(ExitCode) - RESUMABLE - {ExitCode.COMPLETE}
    assert disrupted["action"] == "Ignore"
    assert job["backoffLimitPerIndex"] >= 3
    assert pod("shards")["restartPolicy"] == "Never"


def test_there_is_a_pod_for_each_shard() -> None:
    job = built("shards")["Job/mirror-shards"]["spec"]
    assert job["completionMode"] == "Indexed"
    assert f"--shards={job['completions']}" in container("shards")["args"]
    assert 1 < job["parallelism"] <= job["completions"]
    assert "processes" not in (OVERLAYS / "base" / "config.toml").read_text()


def test_the_shards_together_ask_for_no_more_than_one_run_would() -> None:
    job = built("shards")["Job/mirror-shards"]["spec"]
    (each,) = (v for v in container("shards")["env"] if v["name"] == "MIRROR_CONCURRENCY")
    settings = load_settings(OVERLAYS / "base" / "config.toml")
    assert int(each["value"]) * job["parallelism"] <= settings.concurrency


def test_the_pod_of_a_shard_is_that_of_the_job() -> None:
    """But for what it is told: what keeps the one safe keeps the other."""
    different = {"args": None, "env": None}
    assert container("shards") | different == container("job") | different
    assert pod("shards") | {"containers": None} == pod("job") | {"containers": None}


def test_shards_are_merged_once_they_have_ended() -> None:
    merge = built("shards")["Job/mirror-merge"]["spec"]
    assert merge["suspend"] is True
    (final, _), args = merge["podFailurePolicy"]["rules"], container("merge")["args"]
    codes = set(ExitCode) - {ExitCode.COMPLETE, ExitCode.DESTINATION, ExitCode.INTERRUPTED}
    assert set(final["onExitCodes"]["values"]) == codes
    assert [args[0], f"--dest={args[1]}"] == ["merge", container("shards")["args"][2]]
    mounts = container("merge")["volumeMounts"]
    assert all(mount in container("shards")["volumeMounts"] for mount in mounts)
    assert {mount["name"] for mount in mounts} == {"frames", "config"}
    assert "env" not in container("merge")


@pytest.mark.parametrize("work", ["job", "shards", "merge"])
def test_a_job_waits_until_it_is_resumed(work: str) -> None:
    """The volume of the exports is empty at first, and a missing export fails a Job for good."""
    overlay, name = WORK[work]
    assert built(overlay)[name]["spec"]["suspend"] is True


@pytest.mark.parametrize("overlay", SYNCING)
def test_the_loader_writes_into_the_volume_that_the_exports_are_read_from(overlay: str) -> None:
    (loaded,), (mount,) = pod("loader")["volumes"], container("loader")["volumeMounts"]
    (read,) = (each for each in pod(overlay)["volumes"] if each["name"] == "exports")
    (at,) = (each for each in container(overlay)["volumeMounts"] if each["name"] == "exports")
    assert loaded == read
    assert (mount["name"], mount["mountPath"]) == (loaded["name"], at["mountPath"])
    assert not mount.get("readOnly")
    assert at["readOnly"] is True
    assert pod("loader")["serviceAccountName"] == pod(overlay)["serviceAccountName"]
    assert pod("loader")["securityContext"] == pod(overlay)["securityContext"]


def test_the_service_takes_no_requests_to_the_loader() -> None:
    selector = built("watch")["Service/mirror-watch"]["spec"]["selector"]
    assert (
        not selector.items() <= built("loader")["Pod/mirror-loader"]["metadata"]["labels"].items()
    )


def test_one_line_says_which_image_all_of_them_run() -> None:
    images = {container(work)["image"] for work in WORK}
    assert len(images) == 1
    assert "savant-mirror" not in images


def test_every_pod_of_a_shard_mounts_the_volumes() -> None:
    for name in ("mirror-frames", "mirror-exports"):
        claim = built("shards")[f"PersistentVolumeClaim/{name}"]["spec"]
        assert claim["accessModes"] == ["ReadWriteMany"]
        assert claim["storageClassName"]
        alone = built("job")[f"PersistentVolumeClaim/{name}"]["spec"]
        assert claim["resources"] == alone["resources"]


def test_in_another_namespace_the_shards_have_it_all(tmp_path: Path) -> None:
    """What shards/volumes.yaml advises where the claims are there already."""
    shutil.copytree(OVERLAYS, tmp_path / "k")
    for overlay in ("shards", "loader"):
        path = tmp_path / "k" / overlay / "kustomization.yaml"
        path.write_text(path.read_text().replace("namespace: mirror\n", "namespace: other\n"))
        told = _run("kubectl", "kustomize", str(path.parent))
        assert "namespace: mirror\n" not in told
        assert "namespace: other\n" in told
    assert "  name: other\n" in _run("kubectl", "kustomize", str(tmp_path / "k" / "shards"))


@pytest.mark.parametrize("overlay", WORK)
def test_attack_23_the_pod_may_do_nothing_it_needs_not(overlay: str) -> None:
    spec, own = pod(overlay), container(overlay)["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container(overlay)["resources"]["limits"]) >= {"cpu", "memory"}


@pytest.mark.parametrize("overlay", SYNCING)
def test_attack_22_secrets_come_from_a_secret_and_the_password_as_a_file(overlay: str) -> None:
    known = {environment_name(name) for name in Settings.model_fields}
    for variable in container(overlay)["env"]:
        assert variable["name"] in known
        if variable["name"] in {"SAVANT_USERNAME", "MIRROR_HTTP_TOKEN"}:
            assert variable["valueFrom"]["secretKeyRef"]["name"] == "mirror-savant"
    assert not any(v["name"] == "SAVANT_PASSWORD" for v in container(overlay)["env"])
    assert not any(kind.startswith("Secret/") for kind in built(overlay))


@pytest.mark.parametrize("overlay", SYNCING)
def test_what_the_command_names_is_mounted(overlay: str) -> None:
    mounts = {mount["mountPath"]: mount["name"] for mount in container(overlay)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod(overlay)["volumes"]}
    assert set(mounts.values()) == set(volumes)
    _, export, dest, config, *_ = container(overlay)["args"]
    assert f"/{export.split('/')[1]}" in mounts
    assert dest.startswith("--dest=/frames/")
    assert config == "--config=/etc/mirror/config.toml"
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in volumes.values()
        if "persistentVolumeClaim" in volume
    }
    assert {f"PersistentVolumeClaim/{claim}" for claim in claims} <= set(built(overlay))
    assert f"ConfigMap/{volumes['config']['configMap']['name']}" in built(overlay)


@pytest.mark.parametrize("overlay", MIRRORING)
def test_fault_53_the_pod_has_longer_to_stop_than_the_run(overlay: str) -> None:
    settings = load_settings(OVERLAYS / "base" / "config.toml")
    assert pod(overlay)["terminationGracePeriodSeconds"] > settings.grace_period


def test_the_pod_s_memory_holds_the_bodies() -> None:
    settings = load_settings(OVERLAYS / "base" / "config.toml")
    assert container("job")["resources"]["limits"]["memory"] == "512Mi"
    assert settings.body_memory <= 512 * 1024**2 / 4


def test_the_config_is_the_example_that_is_documented() -> None:
    """A copy, since kustomize reads nothing outside its folder."""
    copy = (OVERLAYS / "base" / "config.toml").read_bytes()
    assert copy == (ROOT / "config" / "kubernetes.toml").read_bytes()


def test_the_service_is_probed_where_it_listens() -> None:
    (port,) = container("watch")["ports"]
    probe = container("watch")["livenessProbe"]["httpGet"]
    (exposed,) = built("watch")["Service/mirror-watch"]["spec"]["ports"]
    assert port["containerPort"] == exposed["port"] == DEFAULT_PORT
    assert probe["port"] == exposed["targetPort"] == port["name"]
    assert probe["path"] == "/healthz"


def test_a_destination_has_one_holder() -> None:
    deployment = built("watch")["Deployment/mirror-watch"]["spec"]
    assert deployment["replicas"] == 1
    assert deployment["strategy"] == {"type": "Recreate"}
    claim = built("watch")["PersistentVolumeClaim/mirror-frames"]["spec"]
    assert claim["accessModes"] == ["ReadWriteOncePod"]
