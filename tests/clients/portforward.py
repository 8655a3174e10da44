"""The Python client: a request to port 8080 of a Pod, and one to a port that is closed. `portforward.py KUBECONFIG NAMESPACE POD`"""

import sys

from kubernetes import client, config
from kubernetes.stream import portforward


def main(kubeconfig, namespace, pod):
    config.load_kube_config(kubeconfig)
    connect = client.CoreV1Api().connect_get_namespaced_pod_portforward

    forward = portforward(connect, pod, namespace, ports="8080")
    socket = forward.socket(8080)
    socket.setblocking(True)
    socket.sendall(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
    answer = b""
    while piece := socket.recv(4096):
        answer += piece
    head, body = answer.decode().split("\r\n\r\n", 1)
    print(head.splitlines()[0], next(line for line in body.splitlines() if line.startswith("Hello")))

    forward = portforward(connect, pod, namespace, ports="9")
    socket = forward.socket(9)
    socket.setblocking(True)
    while socket.recv(4096):
        pass
    print(forward.error(9))


if __name__ == "__main__":
    main(*sys.argv[1:])
