"""What helm makes of the chart: valid objects, closed containers, nothing missing."""

import importlib.util
import json
import re
from functools import cache
from pathlib import Path

import pytest

from kit.base.runtime import METRICS_PORT_OFFSET
from ops.commands.secrets import make
from ops.docker.tests import compose
from ops.kubernetes.tests import chart
from ops.process_files import kinds
from ops.project import ROOT

Json = chart.Json

ELSEWHERE = "--set redis.enabled=false,redis.host=r,database.enabled=false,database.host=d"
LIVE = "--set settings.VENUEMESH_WORLD=live,networkPolicies.gatewayFrom[0].ipBlock.cidr=10.1.0.0/16"
BACKFILL = "--set " + ",".join(
    f"backfill[0].{key}={value}"
    for key, value in {
        "venue": "binance",
        "symbol": "BTCUSDT",
        "from": "2026-01-01",
        "to": "2026-02-01",
    }.items()
)
VARIANTS = {
    **{size: (size, "") for size in chart.SIZES},
    **{f"{size}-upgrade": (size, "--is-upgrade") for size in chart.SIZES},
    "elsewhere": ("", f"{ELSEWHERE} {LIVE}"),
    "backfill": ("", BACKFILL),
}
SCHEMAS_OF = "kubernetes_validate"
"""A package with the schemas of Kubernetes. They are read if it is installed."""
SCHEMA_ADDRESS = re.compile(r',\s*"\$id": "[^"]*"|/api/(?=_definitions\.json)')
"""Where the schemas say they are: kubeconform would look there and not beside them."""
VERSIONS = (chart.KUBE_VERSION, "1.34.0")
OPERATORS = "ScaledObject,ServiceMonitor,PrometheusRule"
"""Kinds of KEDA and of the Prometheus operator, which the schemas of Kubernetes do not have."""
ONE_SHOT = ("migrate-", "backfill-")
COMPOSE = compose.services()


@cache
def manifest(variant: str) -> str:
    size, options = VARIANTS[variant]
    return chart.manifest(size, *options.split())


@cache
def rendered(variant: str) -> list[Json]:
    return chart.objects(manifest(variant))


@pytest.fixture(params=VARIANTS)
def objects(request: pytest.FixtureRequest) -> list[Json]:
    return rendered(request.param)


@pytest.fixture(params=VERSIONS)
def schemas(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with the strict schemas of a version of Kubernetes."""
    found = importlib.util.find_spec(SCHEMAS_OF)
    if found is None or found.origin is None:
        pytest.skip(f"{SCHEMAS_OF} is not installed, see CONTRIBUTING.md")
    source = Path(found.origin).parent / "kubernetes-json-schema" / f"v{request.param}-local-strict"
    folder = tmp_path / "schemas"
    folder.mkdir()
    for file in source.glob("*.json"):
        (folder / file.name).write_text(SCHEMA_ADDRESS.sub("", file.read_text()))
    return folder


def kubeconform(schemas: Path, folder: Path) -> Json:
    """What kubeconform says of the manifests in a folder."""
    location = f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    words = ("-strict", "-summary", "-output", "json", "-skip", OPERATORS)
    done = chart.run("kubeconform", *words, "-schema-location", location, str(folder))
    found: Json = json.loads(done.stdout)
    assert (done.returncode == 0) == (found["resources"] == [])
    return found


@pytest.mark.parametrize("size", ["", *chart.SIZES])
def test_helm_finds_nothing_to_complain_of(size: str) -> None:
    done = chart.helm("lint", "--strict", str(chart.CHART), size=size)
    assert done.returncode == 0, done.stdout + done.stderr


def test_helm_refuses_a_misspelt_value() -> None:
    done = chart.helm("template", "mesh", str(chart.CHART), "--set", "gateway.prot=8082")
    assert done.returncode != 0
    assert "prot" in done.stderr


def test_helm_refuses_an_older_kubernetes() -> None:
    done = chart.helm("template", "mesh", str(chart.CHART), version="1.28.0")
    assert done.returncode != 0
    assert "1.29" in done.stderr


def test_objects_are_valid_by_the_schemas_of_kubernetes(schemas: Path, tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    for variant in VARIANTS:
        (folder / f"{variant}.yaml").write_text(manifest(variant))
    found = kubeconform(schemas, folder)
    assert found["resources"] == []
    assert found["summary"]["valid"] > len(VARIANTS) * len(chart.processes())


def test_an_object_with_an_unknown_field_is_found(schemas: Path, tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    wrong = manifest("small").replace("maxUnavailable: 0", "maxUnavailible: 0")
    (folder / "wrong.yaml").write_text(wrong)
    messages = {one["name"]: one["msg"] for one in kubeconform(schemas, folder)["resources"]}
    assert "maxUnavailible" in messages["mesh-bars"]


def test_names_are_unique_and_allowed(objects: list[Json]) -> None:
    names = [(found["kind"], found["metadata"]["name"]) for found in objects]
    assert len(names) == len(set(names))
    assert all(len(name) <= 63 and "_" not in name for _, name in names)


def test_every_container_is_closed_and_bounded(objects: list[Json]) -> None:
    accounts = chart.of_kind(objects, "ServiceAccount")
    for pod in chart.pods(objects).values():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        account = accounts[spec["serviceAccountName"].removeprefix("mesh-")]
        assert account["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in chart.containers(pod).values():
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"].keys() == {"requests", "limits"}


def test_every_container_that_runs_on_is_probed(objects: list[Json]) -> None:
    for name, pod in chart.pods(objects).items():
        if name.startswith(ONE_SHOT):
            continue
        for container in chart.containers(pod).values():
            assert "startupProbe" in container
            if container["name"] != "tokens":
                assert container.keys() >= {"readinessProbe", "livenessProbe"}


def test_what_is_mounted_is_there(objects: list[Json], tmp_path: Path) -> None:
    identities = chart.of_kind(objects, "Secret")
    maps = chart.of_kind(objects, "ConfigMap")
    made = {*make(tmp_path / "secrets")}
    for pod in chart.pods(objects).values():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        mounted = {
            mount["name"]
            for container in chart.containers(pod).values()
            for mount in container["volumeMounts"]
        }
        assert mounted - {"data"} == volumes.keys()
        for volume in volumes.values():
            if "configMap" in volume:
                assert volume["configMap"]["name"].removeprefix("mesh-") in maps
            if "secret" not in volume:
                continue
            name = volume["secret"]["secretName"].removeprefix("mesh-")
            keys = {item["key"] for item in volume["secret"].get("items", ())}
            assert keys <= made if name == "venuemesh" else name in identities


def secrets_of(pod: Json) -> dict[str, set[str]]:
    """The keys of each Secret that a pod sees."""
    found: dict[str, set[str]] = {}
    for volume in pod["spec"]["volumes"]:
        if "secret" in volume:
            name = volume["secret"]["secretName"].removeprefix("mesh-")
            keys = {item["key"] for item in volume["secret"].get("items", ())}
            found[name] = found.get(name, set()) | keys
    return found


def test_each_process_sees_its_own_files_only(objects: list[Json]) -> None:
    """And a venue with two processes those of both."""
    for name, pod in chart.pods(objects).items():
        seen = secrets_of(pod)
        service = {"database": "timescaledb"}.get(name, name)
        service = "migrate" if name.startswith("migrate") else service
        sources = COMPOSE.get(service, {}).get("secrets", ())
        files = {one if isinstance(one, str) else one["source"] for one in sources}
        assert seen.pop("venuemesh", set()) == files
        assert seen.keys() <= {f"{name}-identity", f"{name}-b-identity"}


def test_the_gateway_writes_the_files_of_each_process_and_no_others(objects: list[Json]) -> None:
    (role,) = chart.of_kind(objects, "Role").values()
    (rule,) = role["rules"]
    assert (rule["resources"], rule["verbs"]) == (["secrets"], ["patch"])
    named = chart.of_kind(objects, "ConfigMap")["identities"]["data"]["identities"]
    listed = [line.split() for line in named.splitlines()]
    assert {secret for _, secret, *_ in listed} == set(rule["resourceNames"])
    secrets = {found["metadata"]["name"] for found in objects if found["kind"] == "Secret"}
    assert secrets == set(rule["resourceNames"])
    assert {service_id for service_id, *_ in listed} <= kinds().keys()
    pods = chart.pods(objects)
    with_right = [name for name, pod in pods.items() if "serviceAccountToken" in json.dumps(pod)]
    assert with_right == ["gateway"]
    mounted = {
        name
        for name, container in chart.containers(pods["gateway"]).items()
        if "cluster" in {mount["name"] for mount in container["volumeMounts"]}
    }
    assert mounted == {"tokens"}


def test_ports_are_where_probes_services_and_prometheus_look(objects: list[Json]) -> None:
    for pod in chart.pods(objects).values():
        for container in chart.containers(pod).values():
            ports = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
            environment = {one["name"]: one.get("value") for one in container.get("env", ())}
            address = environment.get("VENUEMESH_HEALTH_ADDRESS")
            if address is not None:
                assert address == f"127.0.0.1:{ports['grpc']}"
                assert ports["metrics"] == ports["grpc"] + METRICS_PORT_OFFSET
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                for kind in ("httpGet", "tcpSocket"):
                    asked = container.get(probe, {}).get(kind)
                    assert asked is None or asked["port"] in ports


def test_networks_are_those_of_compose() -> None:
    pods = chart.pods(rendered("small"))
    prefix = "venuemesh/network-"
    for name, pod in pods.items():
        networks = {
            label.removeprefix(prefix) for label in pod["metadata"]["labels"] if prefix in label
        }
        service = {"gateway": "registry", "database": "timescaledb"}.get(name, name)
        service = "migrate" if name.startswith("migrate") else service
        expected = set(COMPOSE[service]["networks"])
        assert networks == expected | ({"front"} if name == "gateway" else set())
    closed = chart.of_kind(rendered("small"), "NetworkPolicy")["closed"]["spec"]
    assert closed["policyTypes"] == ["Ingress", "Egress"]
    for pod in pods.values():
        assert closed["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


def test_a_change_of_the_settings_starts_every_process_again() -> None:
    def checksums(*options: str) -> dict[str, str]:
        pods = chart.pods(chart.objects(chart.manifest("", *options)))
        return {
            name: pod["metadata"].get("annotations", {}).get("checksum/settings")
            for name, pod in pods.items()
        }

    before = checksums()
    after = checksums("--set", "settings.VENUEMESH_LOG_LEVEL=debug")
    same = {name for name, found in before.items() if found == after[name]}
    assert same == {"redis", "database", "migrate-install"}


def test_the_database_is_migrated_before_processes_are_replaced() -> None:
    assert "migrate-install" in chart.of_kind(rendered("small"), "Job")
    job = chart.of_kind(rendered("small-upgrade"), "Job")["migrate-upgrade"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"


def test_an_update_leaves_one_process_of_each_that_has_two() -> None:
    found = rendered("medium")
    for name, deployment in chart.of_kind(found, "Deployment").items():
        rolling = deployment["spec"]["strategy"].get("rollingUpdate")
        expected = None if name == "simulator" else {"maxSurge": 1, "maxUnavailable": 0}
        assert rolling == expected
    budgets = chart.of_kind(found, "PodDisruptionBudget")
    workloads = chart.of_kind(found, "StatefulSet", "Deployment")
    assert budgets.keys() == workloads.keys() - {"redis", "database"}
    binance = workloads["binance"]["spec"]
    assert (binance["replicas"], binance["podManagementPolicy"]) == (2, "Parallel")
    replicas = chart.of_kind(found, "ConfigMap")["replicas"]["data"]
    assert replicas["0.toml"] == ""
    assert 'instance = "b"' in replicas["1.toml"]


def test_rules_and_dashboard_are_the_files_of_the_product() -> None:
    found = rendered("large")
    (rules,) = chart.of_kind(found, "PrometheusRule").values()
    assert rules["spec"] == chart.read(ROOT / "ops" / "prometheus" / "alerts.yml")
    board = chart.of_kind(found, "ConfigMap")["dashboard"]["data"]["venuemesh.json"]
    assert board == (ROOT / "ops" / "grafana" / "venuemesh.json").read_text()


def test_only_services_that_may_have_several_replicas_are_scaled() -> None:
    found = chart.of_kind(rendered("large"), "ScaledObject")
    assert found.keys() == {"bars", "bridge", "history", "mcp", "push"}
    deployments = chart.of_kind(rendered("large"), "Deployment")
    for name, scaled in found.items():
        assert "replicas" not in deployments[name]["spec"]
        assert scaled["spec"]["maxReplicaCount"] > scaled["spec"]["minReplicaCount"]
    assert chart.of_kind(rendered("medium"), "ScaledObject") == {}
