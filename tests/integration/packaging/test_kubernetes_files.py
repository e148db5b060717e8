"""The Kubernetes manifests: what the schemas say, and what no schema can say."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from carsync.cli.app import app
from carsync.config.credentials import DIRECTORY, Variables
from carsync.config.environment import FURTHER_VARIABLES, VARIABLES
from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.exit_codes import ExitCode
from tests.support.document_runner import commands
from tests.support.folders import ROOT

FOLDER = ROOT / "config" / "kubernetes"
PAGE = ROOT / "docs" / "kubernetes.md"
MANIFESTS = sorted(
    path
    for path in FOLDER.glob("*/*.yaml")
    if path.name not in {"kustomization.yaml", "feed.yaml", "engine.yaml", "certificates.yaml"}
)
VERSIONS = ("1.29", "1.33", "1.37")
"""The oldest whose schema of podFailurePolicy is right, one between, the newest known."""
POLICY = "NetworkPolicy"
KINDS = {"CronJob", "Deployment"}
Object = dict[str, Any]
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl")


def objects(*paths: Path) -> list[Any]:
    return [each for path in paths for each in yaml.safe_load_all(path.read_text("utf-8"))]


def find_pods(found: Iterable[Object]) -> Iterator[tuple[str, Object]]:
    """Give (name of the object, pod's spec) for everything that starts a pod."""
    for each in found:
        spec = each["spec"]
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template is not None:
            yield each["metadata"]["name"], template["spec"]


@cache
def pods() -> dict[str, Object]:
    return dict(find_pods(objects(*MANIFESTS)))


POD_NAMES = (
    "carsync",
    "carsync-incremental",
    "carsync-shell",
    "carsync-scheduler",
    "carsync-worker",
)


def container(pod: Object) -> Object:
    (only,) = pod["containers"]
    assert isinstance(only, dict)
    return only


def container_of(name: str) -> Object:
    return container(pods()[name])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_schemas_find_no_fault(path: Path, version: str) -> None:
    found = objects(path)
    assert found
    for each in found:
        kubernetes_validate.validate(each, version, strict=True)


def test_a_misspelt_key_would_be_found() -> None:
    (claim,) = objects(FOLDER / "feed" / "checkpoint.yaml")
    claim["spec"]["accessmodes"] = claim["spec"].pop("accessModes")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(claim, VERSIONS[-1], strict=True)


# what a pod may do


def test_these_are_all_pods() -> None:
    assert sorted(pods()) == sorted(POD_NAMES)


@pytest.mark.parametrize("name", POD_NAMES)
def test_a_pod_may_do_no_more_than_it_must(name: str) -> None:
    """This is the level `restricted` of Kubernetes' own pod security standards, and more."""
    pod, one = pods()[name], container_of(name)
    user, group = image_user()
    assert user >= 10000, "a number that is nobody's on the node"
    assert (
        pod["securityContext"].items()
        >= {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": group,
            "fsGroup": group,
            "seccompProfile": {"type": "RuntimeDefault"},
        }.items()
    )
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "initContainers"}
    resources = one["resources"]
    assert resources["requests"].keys() >= {"cpu", "memory"}
    assert "memory" in resources["limits"]
    assert "/tmp" in {mount["mountPath"] for mount in one["volumeMounts"]}


def test_a_pod_has_the_labels_by_which_it_is_found() -> None:
    for each in objects(*MANIFESTS):
        if each["kind"] in KINDS:
            spec = each["spec"]
            job = spec.get("jobTemplate", each)
            template = job["spec"]["template"]
            own = each["metadata"]["labels"]
            assert job["metadata"]["labels"] == template["metadata"]["labels"] == own
            assert spec.get("selector", {"matchLabels": own}) == {"matchLabels": own}


@pytest.mark.parametrize("name", POD_NAMES)
def test_every_volume_is_mounted_and_secrets_are_files_for_the_user_alone(name: str) -> None:
    pod, one = pods()[name], container_of(name)
    mounts = {mount["name"]: mount for mount in one["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert mounts.keys() == volumes.keys()
    for volume_name, volume in volumes.items():
        if "secret" in volume or "configMap" in volume:
            assert mounts[volume_name]["readOnly"]
        if "secret" in volume:
            assert volume["secret"]["defaultMode"] == 0o440
    variables = {each["name"]: each["value"] for each in one.get("env", [])}  # none from a secret
    assert variables.keys() <= {*FURTHER_VARIABLES, DIRECTORY}
    if name == "carsync-scheduler":
        assert "credentials" not in volumes, "it needs no key and no password"
    else:
        assert volumes["credentials"]["secret"]["secretName"] == "carsync-credentials"
        assert variables[DIRECTORY] == mounts["credentials"]["mountPath"]
    if "checkpoint" in mounts:
        assert variables["STATE_DIRECTORY"] == mounts["checkpoint"]["mountPath"]


# the command lines


@pytest.mark.parametrize("name", [name for name in POD_NAMES if name != "carsync-shell"])
def test_the_command_of_a_pod_is_one_of_carsync_s(name: str) -> None:
    one = container_of(name)
    assert "command" not in one, "the image's entry point is carsync"
    context = click.Context(app, info_name="carsync")
    command = app.get_command(context, one["args"][0])
    assert command is not None
    given = command.make_context(one["args"][0], list(one["args"][1:]), parent=context)
    files = given.params.get("files") or (given.params["config_path"],)
    assert files == (Path("/etc/carsync/feed.yaml"),)


def test_one_pod_is_one_worker_process() -> None:
    words = container_of("carsync-worker")["args"]
    assert words[words.index("--processes") + 1] == "1", "else one for each core of the node"


def test_the_other_pods_of_a_feed_are_those_of_the_nightly_run() -> None:
    def rest(name: str) -> Object:
        pod = dict(pods()[name])
        one = dict(container(pod))
        for key in ("args", "command", "env", "resources"):
            one.pop(key, None)
        for key in ("activeDeadlineSeconds", "terminationGracePeriodSeconds"):
            pod.pop(key)
        return {**pod, "containers": [one]}

    assert rest("carsync-incremental") == rest("carsync-shell") == rest("carsync")
    nightly, hourly = (container_of(name) for name in ("carsync", "carsync-incremental"))
    assert [nightly[key] for key in ("env", "resources")] == [
        hourly[key] for key in ("env", "resources")
    ]


# how a run ends


def job_of(file: str) -> Object:
    (found,) = objects(FOLDER / "feed" / file)
    spec = found["spec"]
    assert isinstance(spec, dict)
    return spec


def test_another_try_follows_the_ends_that_systemd_tries_again() -> None:
    job = job_of("sync.yaml")["jobTemplate"]["spec"]
    ignored, failed = job["podFailurePolicy"]["rules"]
    drained = {"type": "DisruptionTarget", "status": "True"}
    assert ignored == {"action": "Ignore", "onPodConditions": [drained]}
    assert failed["action"] == "FailJob"
    assert failed["onExitCodes"]["containerName"] == container_of("carsync")["name"]
    unit = (ROOT / "config" / "systemd" / "carsync.service").read_text("utf-8")
    again = re.search(r"^RestartForceExitStatus=(.*)$", unit, re.MULTILINE)
    assert again is not None
    resumed = {0, ExitCode.SIGINT, *map(int, again[1].split())}
    fatal = set(map(int, ExitCode)) - resumed
    assert failed["onExitCodes"]["values"] == sorted(fatal), "Kubernetes wants them in order"
    assert job["backoffLimit"] > 0
    assert pods()["carsync"]["restartPolicy"] == "Never", "podFailurePolicy wants it"


def test_a_run_has_its_time_and_no_more() -> None:
    nightly, hourly = job_of("sync.yaml"), job_of("incremental.yaml")
    for cron in (nightly, hourly):
        assert cron["concurrencyPolicy"] == "Forbid"
        assert cron["startingDeadlineSeconds"] > 10, "fewer are never met"
        assert cron["timeZone"] == "Etc/UTC"
    assert pods()["carsync"]["terminationGracePeriodSeconds"] > 15 * 60, "a merge may take that"
    waits = re.search(r"--wait (\d+)m", shlex.join(container_of("carsync-incremental")["args"]))
    assert waits is not None
    lasts = pods()["carsync-incremental"]["activeDeadlineSeconds"]
    assert int(waits[1]) * 60 < lasts < 3600
    assert nightly["schedule"].split()[0] != hourly["schedule"].split()[0]
    for file in ("shell.yaml", "incremental.yaml"):
        assert job_of(file)["suspend"] is True, "it is started by hand, or needs api.window.param"


# the feed's files


@pytest.fixture
def variables(tmp_path: Path) -> Mapping[str, str]:
    """The secret's files as Kubernetes mounts them: links into a hidden folder."""
    hidden = tmp_path / "..2026_11_29"
    hidden.mkdir()
    (tmp_path / "..data").symlink_to(hidden.name)
    for name in secret_files():
        (hidden / name).write_text("postgresql://u:p@db:5432/cars" if "URL" in name else "k")
        (tmp_path / name).symlink_to(f"..data/{name}")
    return Variables({DIRECTORY: str(tmp_path)})


def secret_files() -> list[str]:
    """Return the names that the page gives the files of the secret."""
    lines = [line.text for line in commands(PAGE)]
    made = [line for line in lines if "secret generic carsync-credentials" in line]
    (names,) = {tuple(re.findall(r"--from-file=(\w+)", line)) for line in made}
    return list(names)


def test_the_files_of_the_secret_are_known() -> None:
    assert {"API_KEY", "DATABASE_URL"} <= set(secret_files()) <= {*VARIABLES, *FURTHER_VARIABLES}


def read(name: str, variables: Mapping[str, str]) -> Config:
    return parse((FOLDER / name).read_text("utf-8"), variables, origin=name)


def test_the_configurations_are_sound(variables: Mapping[str, str]) -> None:
    alone, cluster = (read(f"{name}/feed.yaml", variables) for name in ("feed", "cluster"))
    for config in (alone, cluster):
        config.require_api()
        config.require_dsn()
    assert (alone.engine.type, cluster.engine.type) == ("local", "dask")
    assert read("cluster/engine.yaml", {}).engine == cluster.engine, "it needs no secret"


def test_the_cluster_s_certificates_are_where_they_are_mounted(
    variables: Mapping[str, str],
) -> None:
    tls = read("cluster/feed.yaml", variables).engine.tls
    patch = [each["value"] for each in objects(FOLDER / "cluster" / "certificates.yaml")[0]]
    for name in ("carsync-scheduler", "carsync-worker"):
        (volume,) = [each for each in pods()[name]["volumes"] if each["name"] == "tls"]
        (mount,) = [each for each in container_of(name)["volumeMounts"] if each["name"] == "tls"]
        assert patch == [volume, mount]
        # The names that cert-manager gives the files of a secret.
        assert [tls.ca, tls.cert, tls.key] == [
            f"{mount['mountPath']}/{file}" for file in ("ca.crt", "tls.crt", "tls.key")
        ]


# who reaches whom


def test_the_scheduler_is_found_where_the_feed_says(variables: Mapping[str, str]) -> None:
    (service,) = [each for each in objects(*MANIFESTS) if each["kind"] == "Service"]
    (port,) = service["spec"]["ports"]
    address = f"tls://{service['metadata']['name']}:{port['port']}"
    assert read("cluster/feed.yaml", variables).engine.scheduler == address
    ports = {
        each["name"]: each["containerPort"] for each in container_of("carsync-scheduler")["ports"]
    }
    assert ports[port["targetPort"]] == port["port"]
    command = container_of("carsync-worker")["readinessProbe"]["exec"]["command"]
    assert f":{port['port']:X} 01 " in command, "an established connection, as the kernel lists it"


def test_nobody_but_runs_and_workers_reaches_the_scheduler() -> None:
    everything = objects(*MANIFESTS)
    found = {each["metadata"]["name"]: each for each in everything if each["kind"] == POLICY}
    component = "app.kubernetes.io/component"
    pods_of = [each["metadata"]["labels"] for each in everything if each["kind"] in KINDS]
    others = {labels[component] for labels in pods_of} - {"scheduler"}
    (rule,) = found["carsync-scheduler"]["spec"]["ingress"]
    (origin,) = rule["from"]
    assert set(origin["podSelector"]["matchExpressions"][0]["values"]) == others
    assert rule["ports"] == [{"protocol": "TCP", "port": "cluster"}]
    (check,) = found["carsync-worker"]["spec"]["ingress"]
    (way,) = found["carsync-scheduler"]["spec"]["egress"]
    assert check["ports"] == way["ports"]
    assert check["from"] == [{"podSelector": found["carsync-scheduler"]["spec"]["podSelector"]}]
    assert way["to"] == [{"podSelector": found["carsync-worker"]["spec"]["podSelector"]}]
    everybody = found["carsync"]["spec"]
    assert everybody["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in everybody, "nobody connects to a run"
    for spec in (each["spec"] for each in found.values()):
        assert spec["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "carsync"


# kustomize


@needs_kubectl
@pytest.mark.parametrize("folder", ["feed", "cluster"])
def test_a_folder_of_one_s_own_changes_image_and_feed(folder: str, tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "carsync")
    own = tmp_path / "own"
    own.mkdir()
    (text,) = re.findall(r"```yaml\n(# kustomization\.yaml\n.*?)```", PAGE.read_text("utf-8"), re.S)
    text = re.sub(r"- \S+/cluster\b", f"- ../carsync/{folder}", text)
    (own / "kustomization.yaml").write_text(text)
    (own / "feed.yaml").write_text("api: {base_url: http://mine}\n")
    made = subprocess.run(["kubectl", "kustomize", own], capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr
    built = list(yaml.safe_load_all(made.stdout))
    found = dict(find_pods(each for each in built if "spec" in each))
    assert len(found) == (5 if folder == "cluster" else 3)
    (config,) = [
        each for each in built if "carsync-feed" in each["metadata"]["name"] and "data" in each
    ]
    assert config["data"] == {"feed.yaml": "api: {base_url: http://mine}\n"}
    for name, pod in found.items():
        assert container(pod)["image"] == "registry.example.com/carsync:0.1.0"
        mounted = {each["configMap"]["name"] for each in pod["volumes"] if "configMap" in each}
        assert (config["metadata"]["name"] in mounted) == (name != "carsync-scheduler")
        secrets = {each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each}
        assert ("carsync-tls" in secrets) == (folder == "cluster")
    for each in built:
        kubernetes_validate.validate(each, VERSIONS[-1], strict=True)


def test_the_patches_of_the_page_fit() -> None:
    page = PAGE.read_text("utf-8")
    blocks = re.findall(r"```yaml\n(patches:\n.*?)```", page, re.S)
    named = {
        each["metadata"]["name"]: each for each in objects(*MANIFESTS) if each["kind"] in KINDS
    }
    patches = [each for block in blocks for each in yaml.safe_load(block)["patches"]]
    assert len(patches) == 2
    for patch in patches:
        target = named[patch["target"]["name"]]
        assert target["kind"] == patch["target"]["kind"]
        for change in yaml.safe_load(patch["patch"]):
            *path, last = change["path"].strip("/").replace("~1", "/").split("/")
            place: Any = target
            for key in path:
                place = place[int(key) if isinstance(place, list) else key]
            if change["op"] == "replace":
                assert last in place
            else:
                assert last == "-" if isinstance(place, list) else last not in place


def test_what_the_page_names_is_there() -> None:
    named = {(each["kind"].lower(), each["metadata"]["name"]) for each in objects(*MANIFESTS)}
    lines = "\n".join(line.text for line in commands(PAGE))
    asked = set(re.findall(r"\b(cronjob|deployment)[/ ]([a-z-]+)", lines))
    assert asked
    assert asked <= named
    secrets = {
        volume["secret"]["secretName"]
        for pod in pods().values()
        for volume in pod["volumes"]
        if "secret" in volume
    }
    assert set(re.findall(r"secret generic (\S+)", lines)) == secrets
    tried = re.search(r"schemas of Kubernetes (\S+), (\S+) and (\S+),", PAGE.read_text("utf-8"))
    assert tried is not None
    assert tried.groups() == VERSIONS


# the image


def image_user() -> tuple[int, int]:
    text = (ROOT / "Containerfile").read_text("utf-8")
    found = re.findall(r"^USER (\d+):(\d+)$", text, re.MULTILINE)
    assert text.rindex("USER ") > text.rindex("FROM "), "it is the user of the last stage"
    ((user, group),) = found
    return int(user), int(group)


def test_the_image_holds_what_the_lock_names_and_nothing_else() -> None:
    text = (ROOT / "Containerfile").read_text("utf-8").replace("\\\n", " ")
    installs = [line for line in re.split(r"\n|&&", text) if re.search(r"\bpip .* install ", line)]
    locked, own = installs
    assert {"--require-hashes", "--only-binary", "requirements/cluster.txt"} <= set(locked.split())
    assert {"--no-deps", "--no-index"} <= set(own.split())
    assert 'ENTRYPOINT ["carsync"]' in text
    assert "HEALTHCHECK" not in re.sub(r"^#.*$", "", text, flags=re.MULTILINE)


def test_the_builder_gets_the_sources_and_nothing_private() -> None:
    lines = (ROOT / ".containerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if not line.startswith("#")]
    assert rules[0] == "*", "everything is left out but what follows"
    sent = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    assert all((ROOT / name).exists() for name in sent)
    needed = {"carsync", "sql", "config", "pyproject.toml", "setup.cfg", "README.md", "LICENSE"}
    assert needed <= set(sent)
    assert (ROOT / ".dockerignore").resolve() == ROOT / ".containerignore"
