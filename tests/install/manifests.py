#!/usr/bin/env python3
"""Holds rendered manifests against schemas.

manifests.py core RELEASE FILE...        Kubernetes' own kinds, strictly
manifests.py keda FOLDER FILE...         KEDA's kinds, against the custom resource definitions in FOLDER
manifests.py configuration - FILE        prints the daemon's configuration
manifests.py gpu - GPU CPU               the one overlay asks for a GPU a daemon, the other for none
manifests.py models - FILE               the bundle is a link on a shared volume, made by the daemon's own image
manifests.py replicas - FILE...          what a ScaledObject scales says no number of its own
manifests.py scraped PROMETHEUS FILE     the job of that configuration finds the pods, and gives them `job` and `survey`
"""

import pathlib
import re
import sys

import jsonschema
import kubernetes_validate
import yaml

GROUP = "keda.sh/"


def documents(file):
    return [document for document in yaml.safe_load_all(pathlib.Path(file).read_text()) if document]


def strict(schema):
    """A definition as an API server takes it with strict field validation: what it does not name is an error."""
    if isinstance(schema, dict):
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            strict(value)
    elif isinstance(schema, list):
        for value in schema:
            strict(value)
    return schema


def core(release, *files):
    checked = 0
    for document in (d for file in files for d in documents(file) if not d["apiVersion"].startswith(GROUP)):
        try:
            kubernetes_validate.validate(document, release, strict=True)
        except kubernetes_validate.ValidationError as error:
            sys.exit(f"{document['kind']} {document['metadata']['name']}: {'.'.join(map(str, error.path))}: {error.message}")
        checked += 1
    print(f"{checked} manifests")
    return checked >= 5


def keda(folder, *files):
    definitions = {}
    for file in pathlib.Path(folder).glob("keda.sh_*.yaml"):
        spec = yaml.safe_load(file.read_text())["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            definitions[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    ours = [d for file in files for d in documents(file) if d["apiVersion"].startswith(GROUP)]
    for document in ours:
        for error in jsonschema.Draft202012Validator(definitions[document["apiVersion"], document["kind"]]).iter_errors(document):
            sys.exit(f"{document['kind']}: {error.json_path}: {error.message}")
    print(f"{len(ours)} manifests")
    return sorted(d["kind"] for d in ours) == ["ScaledObject", "TriggerAuthentication"]


def configuration(_, file):
    print(next(d["data"]["sdss.toml"] for d in documents(file) if d["kind"] == "ConfigMap"))
    return True


def pod(file):
    """The template of the daemons' pods."""
    return next(d for d in documents(file) if d["kind"] == "StatefulSet")["spec"]["template"]


def gpu(_, with_gpu, without):
    one, other = (pod(file)["spec"]["containers"][0] for file in (with_gpu, without))
    device = {"name": "TWINPEAK__DEVICE__CHOICE", "value": "cuda:0"}
    return (one["resources"]["limits"].get("nvidia.com/gpu") == "1" and device in one["env"] and one["image"].endswith("-cuda")
            and "nvidia.com/gpu" not in other["resources"]["limits"] and device not in other["env"] and other["image"].endswith("-cpu"))


def models(_, file):
    spec = pod(file)["spec"]
    link, daemon = spec["initContainers"][0], spec["containers"][0]
    claims = {v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"] if "persistentVolumeClaim" in v}
    shared = {d["metadata"]["name"] for d in documents(file)
              if d["kind"] == "PersistentVolumeClaim" and d["spec"]["accessModes"] == ["ReadWriteMany"]}
    mounts = ({m["mountPath"] for m in container["volumeMounts"] if m["name"] == "models"} for container in (link, daemon))
    return (link["image"] == daemon["image"] and {"name": "TWINPEAK__MODEL__BUNDLE", "value": "/models/current"} in daemon["env"]
            and claims == shared == {"twinpeak-models"} and all(m == {"/models"} for m in mounts))


def replicas(_, *files):
    for file in files:
        scaled = [d["spec"]["scaleTargetRef"] for d in documents(file) if d["kind"] == "ScaledObject"]
        for target in scaled:
            for d in documents(file):
                if (d["kind"], d["metadata"]["name"]) == (target["kind"], target["name"]) and "replicas" in d["spec"]:
                    sys.exit(f"{file}: {d['kind']} {d['metadata']['name']} says replicas, and each apply undoes what KEDA did")
        if not scaled:
            sys.exit(f"{file}: nothing scales it")
    return True


def relabelled(labels, rules):
    """What Prometheus makes of a target's labels by `replace` (of a whole value), `keep` and `drop`; None where dropped."""
    for rule in rules:
        value = ";".join(labels.get(name, "") for name in rule["source_labels"])
        action, found = rule.get("action", "replace"), re.fullmatch(rule.get("regex", "(?s:.*)"), value)
        if action == "replace" and found:
            labels = labels | {rule["target_label"]: value}
        elif action in ("keep", "drop") and bool(found) != (action == "keep"):
            return None
        elif action not in ("replace", "keep", "drop"):
            sys.exit(f"what does {action} do?")
    return labels


def scraped(prometheus, file):
    jobs = yaml.safe_load(pathlib.Path(prometheus).read_text())["scrape_configs"]
    job = next(job for job in jobs if job["job_name"] == "twinpeak")
    finds, = job["kubernetes_sd_configs"]
    there = next(d for d in documents(file) if d["kind"] == "StatefulSet")["metadata"]["namespace"]
    meta = {"__meta_kubernetes_pod_name": "twinpeak-0", "__meta_kubernetes_pod_phase": "Running", "job": job["job_name"]}
    meta |= {"__meta_kubernetes_pod_label_" + re.sub(r"\W", "_", name): value for name, value in pod(file)["metadata"]["labels"].items()}
    ports = [meta | {"__meta_kubernetes_pod_container_port_name": port["name"]} for port in pod(file)["spec"]["containers"][0]["ports"]]
    rules = job["relabel_configs"]
    found = [{n: v for n, v in made.items() if not n.startswith("__")} for p in ports if (made := relabelled(p, rules))]
    print(found)
    strangers = ports[0] | {"__meta_kubernetes_pod_label_app_kubernetes_io_name": "other"}, ports[0] | {"__meta_kubernetes_pod_phase": "Failed"}
    return (finds == {"role": "pod", "namespaces": {"names": [there]}} and found == [{"job": "twinpeak", "survey": "sdss", "instance": "twinpeak-0"}]
            and not any(relabelled(stranger, rules) for stranger in strangers))


if __name__ == "__main__":
    sys.exit(not globals()[sys.argv[1]](*sys.argv[2:]))
