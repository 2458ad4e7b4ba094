"""The kustomizations: well-formed YAML, objects that Kubernetes takes, and the rules of rules.py; each check can fail."""

import copy
import unittest

import kubernetes_validate
from kubernetes_validate.utils import latest_version, major_minor
from yamllint import config, linter

import manifests
import rules
from manifests import container, find

# The first in which ReadWriteOncePod is stable, and the newest whose schemas there are.
VERSIONS = ("1.29", major_minor(latest_version()))


def refused(item, version):
    """What the schema of a Kubernetes version has against an object, or None. Unknown fields are refused."""
    try:
        checked = kubernetes_validate.validate(item, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{item['kind']} {item['metadata']['name']}, {version}: {list(error.path)}: {error.message}"
    if checked != version:
        raise AssertionError(f"there is no schema of {version}, only of {checked}")
    return None


class SchemaTest(unittest.TestCase):
    def test_every_object_is_valid(self):
        for variant in manifests.VARIANTS:
            objects = [item for item in manifests.render(variant) if item["apiVersion"] != manifests.CERT_MANAGER]
            self.assertEqual(7, len(objects), variant)
            for item in objects:
                for version in VERSIONS:
                    with self.subTest(variant=variant, kind=item["kind"], version=version):
                        self.assertIsNone(refused(item, version))

    def test_wrong_objects_are_refused(self):
        def unknown_field(item):
            item["spec"]["template"]["spec"]["containers"][0]["readOnlyRoot"] = True

        def wrong_type(item):
            item["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["grpc"]["port"] = "grpc"

        def missing_field(item):
            del item["spec"]["selector"]

        original = find(manifests.render("base"), "StatefulSet")
        for spoil in (unknown_field, wrong_type, missing_field):
            for version in VERSIONS:
                with self.subTest(spoil=spoil.__name__, version=version):
                    spoiled = copy.deepcopy(original)
                    spoil(spoiled)
                    self.assertIsNotNone(refused(spoiled, version))

    def test_the_files_are_tidy(self):
        rules_of_lint = config.YamlLintConfig(file=manifests.DEPLOY / ".yamllint")
        files = sorted((manifests.DEPLOY / "kubernetes").rglob("*.yaml"))
        self.assertGreater(len(files), 8)
        found = [f"{path.relative_to(manifests.DEPLOY)}: {problem}"
                 for path in files for problem in linter.run(path.read_text(encoding="utf-8"), rules_of_lint)]
        self.assertEqual([], found)


class RulesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.facts = manifests.DaemonFacts()
        cls.base = manifests.render("base")
        cls.mutual = manifests.render("overlays/mutual-tls")

    def test_every_variant_keeps_every_rule(self):
        for variant in manifests.VARIANTS:
            with self.subTest(variant=variant):
                self.assertEqual([], rules.problems(manifests.render(variant), self.facts))

    def test_variants_differ_as_they_say(self):
        def claim(variant):
            return find(manifests.render(variant), "StatefulSet")["spec"]["volumeClaimTemplates"][0]["spec"]

        self.assertEqual(["ReadWriteOncePod"], claim("base")["accessModes"])
        self.assertEqual(["ReadWriteOncePod"], claim("overlays/production")["accessModes"])
        self.assertEqual(["ReadWriteOnce"], claim("overlays/development")["accessModes"])
        self.assertEqual({"requests": {"storage": "100Gi"}}, claim("overlays/production")["resources"])
        self.assertEqual("debug", manifests.environment(manifests.render("overlays/development"))["DAYBOOK_LOG_LEVEL"])

    def test_encrypted_variants_differ_as_they_say(self):
        def settings(variant):
            objects = manifests.render(variant)
            self.assertEqual("100Gi", find(objects, "StatefulSet")["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]
                             ["requests"]["storage"])
            return {name: value for name, value in manifests.environment(objects).items() if "_TLS_" in name}

        server = {"DAYBOOK_TLS_CERTIFICATE": "/tls/tls.crt", "DAYBOOK_TLS_KEY": "/tls/tls.key"}
        self.assertEqual({}, settings("overlays/production"))
        self.assertEqual(server, settings("overlays/tls"))
        self.assertEqual(server | {"DAYBOOK_TLS_CLIENT_AUTHORITIES": "/tls/ca.crt"}, settings("overlays/mutual-tls"))
        made = {item["spec"]["secretName"] for item in self.mutual if item["kind"] == "Certificate"}
        self.assertEqual({"daybook-authority", "daybook-client", "daybook-tls"}, made)

    def assert_noticed(self, words, spoil, objects=None):
        spoiled = copy.deepcopy(objects or self.base)
        spoil(spoiled)
        found = rules.problems(spoiled, self.facts)
        self.assertTrue(any(words in sentence for sentence in found), f"\"{words}\" is not in {found}")

    def test_each_rule_notices(self):
        def pod(objects):
            return find(objects, "StatefulSet")["spec"]["template"]

        def claim(objects):
            return find(objects, "StatefulSet")["spec"]["volumeClaimTemplates"][0]

        def setting(objects, name, value):
            container(objects)["env"] = [entry for entry in container(objects)["env"] if entry["name"] != name]
            container(objects)["env"].append({"name": name, "value": value})

        cases = [
            ("lacks the label", lambda o: o[2]["metadata"]["labels"].popitem()),
            ("is not in the namespace", lambda o: find(o, "ServiceAccount")["metadata"].update(namespace="default")),
            ("Service daybook selects", lambda o: find(o, "Service", "daybook")["spec"]["selector"].popitem()),
            ("replicas", lambda o: find(o, "StatefulSet")["spec"].update(replicas=2)),
            ("outlive", lambda o: find(o, "StatefulSet")["spec"].pop("persistentVolumeClaimRetentionPolicy")),
            ("forbid every later change", lambda o: claim(o)["metadata"].update(labels={"a": "b"})),
            ("let other nodes write", lambda o: claim(o)["spec"].update(accessModes=["ReadWriteMany"])),
            ("not mounted", lambda o: container(o)["volumeMounts"][0].update(mountPath="/elsewhere")),
            ("grace period", lambda o: pod(o)["spec"].update(terminationGracePeriodSeconds=30)),
            ("grace period", lambda o: setting(o, "DAYBOOK_DRAIN_MS", "36000")),
            ("livenessProbe must ask", lambda o: container(o)["livenessProbe"]["grpc"].update(service="readiness")),
            ("readinessProbe asks a port", lambda o: container(o)["readinessProbe"]["grpc"].update(port=8080)),
            ("the start must be given", lambda o: container(o)["startupProbe"].update(failureThreshold=3)),
            ("must be the headless one", lambda o: find(o, "StatefulSet")["spec"].update(serviceName="daybook")),
            ("with an address", lambda o: o.remove(find(o, "Service", "daybook"))),
            ("leads to no port", lambda o: find(o, "Service", "daybook")["spec"]["ports"][0].update(targetPort="http")),
            ("HTTP/2", lambda o: find(o, "Service", "daybook")["spec"]["ports"][0].pop("appProtocol")),
            ("knows no variable", lambda o: setting(o, "DAYBOOK_DATE", "/data")),
            ("set twice", lambda o: container(o)["env"].append(container(o)["env"][0])),
            ("listen on 127.0.0.1 only", lambda o: setting(o, "DAYBOOK_LISTEN", "127.0.0.1:50051")),
            ("listen on port 50052", lambda o: setting(o, "DAYBOOK_LISTEN", "[::]:50052")),
            ("is not that of version", lambda o: container(o).update(image="localhost/daybook:latest")),
            ("is not that of version", lambda o: container(o).update(image="localhost/daybook")),
            ("is not labelled with version",
             lambda o: o[3]["metadata"]["labels"].update({"app.kubernetes.io/version": "0.0.1"})),
            ("blocks every drain", lambda o: find(o, "PodDisruptionBudget")["spec"].update(maxUnavailable=0)),
            ("could not be moved",
             lambda o: find(o, "PodDisruptionBudget")["spec"].pop("unhealthyPodEvictionPolicy")),
            ("both directions", lambda o: find(o, "NetworkPolicy")["spec"].update(policyTypes=["Ingress"])),
            ("calls nobody", lambda o: find(o, "NetworkPolicy")["spec"].update(egress=[{}])),
            ("everybody may connect", lambda o: find(o, "NetworkPolicy")["spec"]["ingress"][0].pop("from")),
            ("other ports", lambda o: find(o, "NetworkPolicy")["spec"]["ingress"][0].pop("ports")),
            ("memory must be requested", lambda o: container(o)["resources"]["requests"].update(memory="1Mi")),
            ("cpu must be", lambda o: container(o)["resources"]["limits"].update(cpu="1")),
            ("does not enforce",
             lambda o: find(o, "Namespace")["metadata"]["labels"].pop("pod-security.kubernetes.io/enforce")),
            ("readOnlyRootFilesystem", lambda o: container(o)["securityContext"].pop("readOnlyRootFilesystem")),
            ("capabilities", lambda o: container(o)["securityContext"].update(capabilities={"drop": ["NET_RAW"]})),
            ("hostNetwork", lambda o: pod(o)["spec"].update(hostNetwork=True)),
            ("no volume", lambda o: pod(o)["spec"].update(volumes=[{"name": "h", "hostPath": {"path": "/"}}])),
            ("hostPort", lambda o: container(o)["ports"][0].update(hostPort=50051)),
        ]
        for words, spoil in cases:
            with self.subTest(words=words):
                self.assert_noticed(words, spoil)

    def test_each_rule_of_tls_notices(self):
        def pod(objects):
            return find(objects, "StatefulSet")["spec"]["template"]["spec"]

        def mount(objects):
            (found,) = [item for item in container(objects)["volumeMounts"] if item["name"] == "tls"]
            return found

        def command(objects, probe, old, new):
            words = container(objects)[probe]["exec"]["command"]
            words[words.index(old)] = new

        def certificate(objects):
            return find(objects, "Certificate", "daybook-tls")["spec"]

        cases = [
            ("livenessProbe must run", lambda o: container(o)["livenessProbe"].pop("exec")),
            ("readinessProbe must run", lambda o: container(o)["readinessProbe"].update(grpc={"port": 50051})),
            ("must ask gRPC health", lambda o: command(o, "livenessProbe", "--service=liveness", "--service=readiness")),
            ("asks a port", lambda o: command(o, "livenessProbe", "--server=127.0.0.1:50051", "--server=127.0.0.1:80")),
            ("ended before", lambda o: container(o)["livenessProbe"].update(timeoutSeconds=4)),
            ("show the daemon's own", lambda o: command(o, "startupProbe", "--tls-key=/tls/tls.key", "--tls-key=/key")),
            ("whom to trust", lambda o: command(o, "startupProbe", "--tls-server-name=daybook", "--json")),
            ("HTTP/2", lambda o: find(o, "Service", "daybook")["spec"]["ports"][0].update(
                appProtocol="kubernetes.io/h2c")),
            ("no volume", lambda o: pod(o)["volumes"].append({"name": "h", "hostPath": {"path": "/"}})),
            ("never renewed", lambda o: mount(o).update(subPath="tls.crt")),
            ("nobody else", lambda o: mount(o).pop("readOnly")),
            ("nobody else", lambda o: pod(o)["volumes"][0]["secret"].pop("defaultMode")),
            ("leads to no secret", lambda o: mount(o).update(mountPath="/elsewhere")),
            ("nobody issues", lambda o: o.remove(find(o, "Issuer", "daybook"))),
            ("no certificate is made", lambda o: certificate(o).update(secretName="other")),
            ("is not for daybook.daybook.svc", lambda o: certificate(o)["dnsNames"].remove("daybook.daybook.svc")),
            ("is not for client auth", lambda o: certificate(o)["usages"].remove("client auth")),
        ]
        for words, spoil in cases:
            with self.subTest(words=words):
                self.assert_noticed(words, spoil, self.mutual)


if __name__ == "__main__":
    unittest.main(verbosity=2)
