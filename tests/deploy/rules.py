"""What must hold of the objects beyond their schema. A rule yields one sentence for each thing that is wrong.

A rule takes the rendered objects and the DaemonFacts. kubernetes_test.py proves of each that it can fail.
"""

import posixpath
import re

from manifests import CERT_MANAGER, container, environment, find, is_encrypted, probe_command

IDENTITY = ("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component")
LABELS = IDENTITY + ("app.kubernetes.io/part-of", "app.kubernetes.io/managed-by", "app.kubernetes.io/version")
# Beyond the drain: closing the store, and the kernel's last writes on a slow disk.
GRACE_MARGIN_SECONDS = 10
STARTUP_SECONDS_MIN = 300
HEALTH_NAMES = {"startupProbe": "", "livenessProbe": "liveness", "readinessProbe": "readiness"}


def _pod(objects):
    return find(objects, "StatefulSet")["spec"]["template"]


def _container_ports(objects):
    return {port["name"]: port["containerPort"] for port in container(objects)["ports"]}


def identity(objects, facts):
    namespace = find(objects, "Namespace")
    for item in objects:
        name = f"{item['kind']} {item['metadata']['name']}"
        for label in LABELS:
            if label not in item["metadata"].get("labels", {}):
                yield f"{name} lacks the label {label}"
        if item is not namespace and item["metadata"].get("namespace") != namespace["metadata"]["name"]:
            yield f"{name} is not in the namespace that comes with it"
    for label in LABELS:
        if label not in _pod(objects)["metadata"]["labels"]:
            yield f"the pod lacks the label {label}"


def selectors(objects, facts):
    wanted = {label: _pod(objects)["metadata"]["labels"].get(label) for label in IDENTITY}
    chosen = [("StatefulSet", find(objects, "StatefulSet")["spec"]["selector"]["matchLabels"]),
              ("PodDisruptionBudget", find(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"]),
              ("NetworkPolicy", find(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"])]
    chosen += [("Service " + item["metadata"]["name"], item["spec"]["selector"])
               for item in objects if item["kind"] == "Service"]
    for name, selector in chosen:
        if selector != wanted:
            yield f"{name} selects {selector} and not {wanted}"


def single_writer(objects, facts):
    spec = find(objects, "StatefulSet")["spec"]
    if spec["replicas"] != 1:
        yield "replicas must be 1: there is one writer"
    if spec.get("persistentVolumeClaimRetentionPolicy") != {"whenDeleted": "Retain", "whenScaled": "Retain"}:
        yield "the volume must outlive the StatefulSet"


def volume(objects, facts):
    (claim,) = find(objects, "StatefulSet")["spec"]["volumeClaimTemplates"]
    if "labels" in claim["metadata"]:
        yield "labels on the volume claim's template would forbid every later change of theirs"
    if claim["spec"]["accessModes"] not in (["ReadWriteOncePod"], ["ReadWriteOnce"]):
        yield f"access modes {claim['spec']['accessModes']} let other nodes write"
    mounts = {mount["name"]: mount["mountPath"] for mount in container(objects)["volumeMounts"]}
    if mounts.get(claim["metadata"]["name"]) != environment(objects).get("DAYBOOK_DATA"):
        yield "the volume is not mounted where DAYBOOK_DATA points"


def grace(objects, facts):
    drain_ms = int(environment(objects).get("DAYBOOK_DRAIN_MS", facts.defaults["drain-ms"]))
    if _pod(objects)["spec"]["terminationGracePeriodSeconds"] < drain_ms / 1000 + GRACE_MARGIN_SECONDS:
        yield f"the grace period leaves no {GRACE_MARGIN_SECONDS} s beside a drain of {drain_ms} ms"


def _command_probe(objects, name, service):
    """A probe of a daemon with TLS, which the kubelet's own do not speak."""
    probe = container(objects).get(name, {})
    words, options = probe_command(probe)
    if words != ["/usr/bin/daybook", "status"] or "grpc" in probe:
        yield f"{name} must run daybook status"
        return
    if options.get("service") != service:
        yield f"{name} must ask gRPC health for \"{service}\""
    if int(options["server"].rpartition(":")[2]) not in _container_ports(objects).values():
        yield f"{name} asks a port that the container does not have"
    if int(options["timeout-ms"]) >= probe.get("timeoutSeconds", 1) * 1000:
        yield f"{name} is ended before it can say what is wrong"
    for option, variable in (("tls-certificate", "DAYBOOK_TLS_CERTIFICATE"), ("tls-key", "DAYBOOK_TLS_KEY")):
        if options.get(option) != environment(objects)[variable]:
            yield f"{name} must show the daemon's own certificate"
    if posixpath.basename(options.get("tls-authorities", "")) != "ca.crt" or "tls-server-name" not in options:
        yield f"{name} must know whom to trust"


def probes(objects, facts):
    for name, service in HEALTH_NAMES.items():
        probe = container(objects).get(name, {})
        if is_encrypted(objects):
            yield from _command_probe(objects, name, service)
        elif probe.get("grpc", {}).get("service") != service:
            yield f"{name} must ask gRPC health for \"{service}\""
        elif probe["grpc"]["port"] not in _container_ports(objects).values():
            yield f"{name} asks a port that the container does not have"
    startup = container(objects).get("startupProbe", {})
    if startup.get("periodSeconds", 10) * startup.get("failureThreshold", 3) < STARTUP_SECONDS_MIN:
        yield f"the start must be given {STARTUP_SECONDS_MIN} s"


def services(objects, facts):
    found = [item for item in objects if item["kind"] == "Service"]
    headless = [item["metadata"]["name"] for item in found if item["spec"].get("clusterIP") == "None"]
    if headless != [find(objects, "StatefulSet")["spec"]["serviceName"]]:
        yield "the StatefulSet's service must be the headless one"
    if len(found) - len(headless) != 1:
        yield "clients need one service with an address"
    for item in found:
        for port in item["spec"]["ports"]:
            if port["targetPort"] not in _container_ports(objects):
                yield f"service {item['metadata']['name']} leads to no port of the container"
            if port.get("appProtocol") != ("https" if is_encrypted(objects) else "kubernetes.io/h2c"):
                yield f"service {item['metadata']['name']} does not say that it speaks HTTP/2"


def settings(objects, facts):
    names = [entry["name"] for entry in container(objects)["env"]]
    for name in names:
        if name not in facts.variables:
            yield f"the daemon knows no variable {name}"
        if names.count(name) > 1:
            yield f"{name} is set twice"
    host, _, port = environment(objects).get("DAYBOOK_LISTEN", facts.defaults["listen"]).rpartition(":")
    if host not in ("[::]", "0.0.0.0"):
        yield f"the daemon would listen on {host} only"
    if int(port) not in _container_ports(objects).values():
        yield f"the daemon would listen on port {port}, which the container does not name"


def image(objects, facts):
    reference = container(objects)["image"]
    tagged = re.search(r":([A-Za-z0-9_.-]+)$", reference)
    if "@sha256:" not in reference and (tagged is None or tagged[1] != facts.version):
        yield f"image {reference} is not that of version {facts.version}"
    for item in objects:
        if item["metadata"]["labels"].get("app.kubernetes.io/version") != facts.version:
            yield f"{item['kind']} {item['metadata']['name']} is not labelled with version {facts.version}"


def disruption(objects, facts):
    spec = find(objects, "PodDisruptionBudget")["spec"]
    if spec.get("maxUnavailable") != 1 or "minAvailable" in spec:
        yield "a budget over one pod that does not let it go blocks every drain of its node"
    if spec.get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
        yield "a pod that is not ready could not be moved"


def network(objects, facts):
    spec = find(objects, "NetworkPolicy")["spec"]
    if sorted(spec["policyTypes"]) != ["Egress", "Ingress"]:
        yield "the policy must close both directions"
    if spec.get("egress"):
        yield "the daemon calls nobody"
    for rule in spec["ingress"]:
        if not rule.get("from") or any("podSelector" not in peer for peer in rule["from"]):
            yield "everybody may connect"
        if any(port["port"] not in _container_ports(objects) for port in rule.get("ports", [{"port": None}])):
            yield "the policy opens other ports than the container's"


def resources(objects, facts):
    limits = container(objects)["resources"]["limits"]
    requests = container(objects)["resources"]["requests"]
    for name in ("memory", "ephemeral-storage"):
        if limits.get(name) is None or limits[name] != requests.get(name):
            yield f"{name} must be requested as it is limited"
    if "cpu" in limits or "cpu" not in requests:
        yield "cpu must be requested and not limited"


def restricted(objects, facts):
    """Kubernetes' restricted profile, which the namespace enforces, and what it does not ask for."""
    if find(objects, "Namespace")["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "restricted":
        yield "the namespace does not enforce the restricted profile"
    pod = _pod(objects)["spec"]
    security = container(objects)["securityContext"]
    wanted = [(pod["securityContext"].get("runAsNonRoot"), True, "runAsNonRoot"),
              (pod["securityContext"].get("seccompProfile"), {"type": "RuntimeDefault"}, "seccompProfile"),
              (security.get("allowPrivilegeEscalation"), False, "allowPrivilegeEscalation"),
              (security.get("capabilities"), {"drop": ["ALL"]}, "capabilities"),
              (security.get("readOnlyRootFilesystem"), True, "readOnlyRootFilesystem"),
              (security.get("privileged", False), False, "privileged"),
              (pod.get("automountServiceAccountToken"), False, "automountServiceAccountToken"),
              (pod.get("enableServiceLinks"), False, "enableServiceLinks"),
              (pod.get("serviceAccountName"), find(objects, "ServiceAccount")["metadata"]["name"],
               "serviceAccountName")]
    wanted += [(pod.get(name, False), False, name) for name in ("hostNetwork", "hostPID", "hostIPC")]
    wanted += [(pod["securityContext"].get(name), 10001, name) for name in ("runAsUser", "runAsGroup", "fsGroup")]
    for value, needed, name in wanted:
        if value != needed:
            yield f"{name} is {value} and must be {needed}"
    if [volume for volume in pod.get("volumes", []) if not (is_encrypted(objects) and "secret" in volume)]:
        yield "the pod needs no volume but its claim and the secret of TLS"
    if any("hostPort" in port for port in container(objects)["ports"]):
        yield "a hostPort is open past every policy"


def tls(objects, facts):
    """Where the certificate comes from: a secret that is mounted so that it can be renewed, for the daemon alone."""
    if not is_encrypted(objects):
        return
    volumes = _pod(objects)["spec"].get("volumes", [])
    mounts = {mount["name"]: mount for mount in container(objects)["volumeMounts"]}
    folders = {}
    for volume in (volume for volume in volumes if "secret" in volume):
        mount = mounts.get(volume["name"], {})
        folders[mount.get("mountPath")] = volume["secret"]["secretName"]
        if "subPath" in mount:
            yield "a secret that is mounted by subPath is never renewed"
        if mount.get("readOnly") is not True or volume["secret"].get("defaultMode", 0o644) != 0o440:
            yield "the key must be readable by the daemon's group and by nobody else"
    files = {name: path for name, path in environment(objects).items() if name.startswith("DAYBOOK_TLS_")}
    for name, path in files.items():
        if posixpath.dirname(path) not in folders:
            yield f"{name} leads to no secret"
    yield from _certificate(objects, folders.get(posixpath.dirname(files["DAYBOOK_TLS_CERTIFICATE"])))


def _certificate(objects, secret):
    """What cert-manager is asked for, if it is: it must be what clients, probes and the daemon need."""
    found = [item for item in objects if item["apiVersion"] == CERT_MANAGER]
    issuers = {item["metadata"]["name"] for item in found if item["kind"] == "Issuer"}
    certificates = [item["spec"] for item in found if item["kind"] == "Certificate"]
    for spec in certificates:
        if spec["issuerRef"]["name"] not in issuers:
            yield f"nobody issues the certificate of {spec['secretName']}"
    shown = [spec for spec in certificates if spec["secretName"] == secret]
    if certificates and len(shown) != 1:
        yield f"no certificate is made for the secret {secret}"
    namespace = find(objects, "Namespace")["metadata"]["name"]
    for spec in shown:
        wanted = {f"daybook{suffix}" for suffix in ("", f".{namespace}", f".{namespace}.svc")}
        wanted |= {probe_command(container(objects)[name])[1].get("tls-server-name") for name in HEALTH_NAMES}
        for name in wanted - set(spec["dnsNames"]):
            yield f"the certificate is not for {name}"
        usages = {"server auth"} | ({"client auth"} if "DAYBOOK_TLS_CLIENT_AUTHORITIES" in environment(objects) else set())
        for usage in usages - set(spec["usages"]):
            yield f"the certificate is not for {usage}"


ALL = (identity, selectors, single_writer, volume, grace, probes, services, settings, image, disruption, network,
       resources, restricted, tls)


def problems(objects, facts):
    """Every sentence of every rule."""
    return [sentence for rule in ALL for sentence in rule(objects, facts)]
