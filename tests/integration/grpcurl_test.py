"""What people do with grpcurl, which knows nothing but what reflection tells it."""

import json
import subprocess

import harness


class GrpcurlTest(harness.DaemonTest):
    def grpcurl(self, *arguments, data=None, code=0):
        given = ["-d", json.dumps(data)] if data is not None else []
        result = harness.run([harness.GRPCURL, "-plaintext", *given, self.daemon.address, *arguments])
        self.assertEqual(code, result.returncode, result.stderr)
        return result.stdout if code == 0 else result.stderr

    def test_list_and_describe(self):
        services = self.grpcurl("list").split()
        for name in ("daybook.v1.EventStore", "daybook.v1.Admin", "grpc.health.v1.Health",
                     "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"):
            self.assertIn(name, services)
        self.assertIn("daybook.v1.EventStore.Append", self.grpcurl("list", "daybook.v1.EventStore"))
        self.assertIn("rpc Subscribe", self.grpcurl("describe", "daybook.v1.EventStore"))
        self.assertIn("string stream = 1", self.grpcurl("describe", "daybook.v1.Write"))
        self.assertIn("seconds", self.grpcurl("describe", "google.protobuf.Timestamp"))

    def test_health(self):
        for service in ("", "daybook.v1.EventStore", "readiness", "liveness"):
            answer = json.loads(self.grpcurl("grpc.health.v1.Health/Check", data={"service": service}))
            self.assertEqual("SERVING", answer["status"])
        self.assertIn("NotFound", self.grpcurl("grpc.health.v1.Health/Check", data={"service": "nobody"}, code=69))

    def test_append_and_read(self):
        answer = json.loads(self.grpcurl("daybook.v1.EventStore/Append", data={
            "writes": [{"stream": "order-1", "expectedRevision": 0,
                        "events": [{"type": "OrderPlaced", "text": '{"total":42}', "tags": ["customer:7"]}]}]}))
        self.assertEqual("1", answer["results"][0]["firstPosition"])
        event = json.loads(self.grpcurl("daybook.v1.EventStore/Read", data={"stream": "order-1"}))["events"][0]
        self.assertEqual(("order-1", "1", '{"total":42}', ["customer:7"]),
                         (event["stream"], event["revision"], event["event"]["text"], event["event"]["tags"]))
        self.assertEqual("1", json.loads(self.grpcurl("daybook.v1.EventStore/Head"))["head"])

    def test_an_error_shows_its_details(self):
        shown = self.grpcurl("daybook.v1.EventStore/Append", data={"writes": [{"stream": "", "events": []}]}, code=67)
        for words in ("InvalidArgument", "INVALID_FIELD", "writes[0].stream"):
            self.assertIn(words, shown)

    def test_subscribe_sees_an_event_live(self):
        with subprocess.Popen([harness.GRPCURL, "-plaintext", "-d", '{"beginning":{}}', self.daemon.address,
                               "daybook.v1.EventStore/Subscribe"], stdout=subprocess.PIPE, text=True) as process:
            self.addCleanup(lambda: process.poll() is None and process.kill())
            seen = []

            def read_until(words):
                for line in process.stdout:
                    seen.append(line)
                    if words in line:
                        return
                self.fail("".join(seen))

            read_until("caughtUp")
            self.append("order-1", "OrderPlaced")
            read_until("OrderPlaced")
            process.kill()


if __name__ == "__main__":
    harness.main()
