#!/usr/bin/env python3
"""Holds rendered manifests against schemas.

manifests.py core RELEASE FILE...        Kubernetes' own kinds, strictly
manifests.py keda FOLDER FILE...         KEDA's kinds, against the custom resource definitions in FOLDER
manifests.py configuration - FILE        prints the daemon's configuration
manifests.py gpu - GPU CPU               the one overlay asks for a GPU a daemon, the other for none
"""

import pathlib
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


def gpu(_, with_gpu, without):
    def container(file):
        return next(d for d in documents(file) if d["kind"] == "StatefulSet")["spec"]["template"]["spec"]["containers"][0]

    one, other = container(with_gpu), container(without)
    device = {"name": "TWINPEAK__DEVICE__CHOICE", "value": "cuda:0"}
    return (one["resources"]["limits"].get("nvidia.com/gpu") == "1" and device in one["env"] and one["image"].endswith("-cuda")
            and "nvidia.com/gpu" not in other["resources"]["limits"] and device not in other["env"] and other["image"].endswith("-cpu"))


if __name__ == "__main__":
    sys.exit(not globals()[sys.argv[1]](*sys.argv[2:]))
