"""The Python client: create, watch, an update that conflicts, delete. `scenario.py KUBECONFIG`"""

import sys

from kubernetes import client, config, watch

NAMESPACE = "python"


def config_map(value, version=None):
    metadata = client.V1ObjectMeta(name="a", resource_version=version)
    return client.V1ConfigMap(metadata=metadata, data={"key": value})


def main(kubeconfig):
    config.load_kube_config(kubeconfig)
    core = client.CoreV1Api()
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    start = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    events = watch.Watch().stream(
        core.list_namespaced_config_map,
        NAMESPACE,
        field_selector="metadata.name=a",
        resource_version=start,
        timeout_seconds=60,
    )

    def tell():
        event = next(events)
        print(event["type"], event["object"].data["key"])

    created = core.create_namespaced_config_map(NAMESPACE, config_map("1"))
    tell()
    version = created.metadata.resource_version
    core.replace_namespaced_config_map("a", NAMESPACE, config_map("2", version))
    tell()
    try:
        core.replace_namespaced_config_map("a", NAMESPACE, config_map("0", version))
    except client.ApiException as error:
        print("conflict", error.status)
    core.patch_namespaced_config_map("a", NAMESPACE, {"data": {"key": "3"}})
    tell()
    core.delete_namespaced_config_map("a", NAMESPACE)
    tell()
    try:
        core.read_namespaced_config_map("a", NAMESPACE)
    except client.ApiException as error:
        print("gone", error.status)


if __name__ == "__main__":
    main(sys.argv[1])
