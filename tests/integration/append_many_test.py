"""AppendMany from Python: pipelined requests on open streams, answers in their order."""

import json
import queue
import subprocess
import threading

import harness
from harness import event_pb2, event_store_pb2, grpc


def request(stream, event_type="T", id="", text="x", **expectation):
    event = event_pb2.Event(id=id, type=event_type, text=text)
    return event_store_pb2.AppendRequest(
        writes=[event_store_pb2.Write(stream=stream, events=[event], **expectation)])


class Many:
    """An open stream: requests go when they are given, outcomes are taken one by one."""

    def __init__(self, store):
        self._requests = queue.SimpleQueue()
        self.call = store.AppendMany(iter(self._requests.get, None), timeout=harness.PATIENCE_SECONDS)
        self._outcomes = (outcome for response in self.call for outcome in response.outcomes)

    def give(self, *requests):
        for given in requests:
            self._requests.put(given)

    def close(self):
        self._requests.put(None)

    def take(self):
        return next(self._outcomes)

    def rest(self):
        return list(self._outcomes)


class AppendManyTest(harness.DaemonTest):
    def outcomes(self, requests):
        """One call that sends everything and hears everything."""
        responses = self.store.AppendMany(iter(requests), timeout=harness.PATIENCE_SECONDS)
        return [outcome for response in responses for outcome in response.outcomes]

    def position(self, outcome):
        self.assertEqual("appended", outcome.WhichOneof("outcome"), outcome)
        return outcome.appended.results[0].first_position

    def assert_error(self, outcome, code, reason):
        self.assertEqual("error", outcome.WhichOneof("outcome"), outcome)
        error = outcome.error
        self.assertEqual((code.value[0], reason, "daybook"), (error.code, error.info.reason, error.info.domain), error)
        self.assertTrue(error.message)
        return error

    def test_answers_come_in_order_and_share_messages(self):
        responses = list(self.store.AppendMany(iter([request("s", f"T{n}") for n in range(2000)])))
        outcomes = [outcome for response in responses for outcome in response.outcomes]
        self.assertEqual(list(range(1, 2001)), [self.position(outcome) for outcome in outcomes])
        self.assertLess(len(responses), 2000)
        self.assertEqual([f"T{n}" for n in range(2000)], [event[3] for event in self.read(stream="s")])

    def test_four_streams_at_once_and_a_retry_of_everything(self):
        def requests(number):
            return [request(f"s-{number}", f"T{n}", id=f"01890a5d-ac96-774b-{number:04x}-{n:012x}",
                            expected_revision=n) for n in range(2500)]

        def run():
            results = [None] * 4

            def one(number):
                results[number] = self.outcomes(requests(number))
            threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return results

        first = run()
        positions = [[self.position(outcome) for outcome in outcomes] for outcomes in first]
        self.assertEqual(list(range(1, 10001)), sorted(sum(positions, [])))
        for number, outcomes in enumerate(first):
            self.assertEqual(sorted(positions[number]), positions[number])
            self.assertEqual(list(range(1, 2501)), [outcome.appended.results[0].first_revision for outcome in outcomes])
            self.assertFalse(any(outcome.appended.replayed for outcome in outcomes))
        second = run()
        for before, after in zip(first, second):
            self.assertTrue(all(outcome.appended.replayed for outcome in after))
            self.assertEqual([outcome.appended.results for outcome in before],
                             [outcome.appended.results for outcome in after])
        self.assertEqual(10000, self.head())

    def test_a_request_is_answered_while_the_stream_is_open(self):
        many = Many(self.store)
        for number in range(1, 51):
            many.give(request("s"))
            self.assertEqual(number, self.position(many.take()))
        many.close()
        self.assertEqual([], many.rest())
        self.assertEqual(grpc.StatusCode.OK, many.call.code())

    def test_refused_requests_leave_the_stream_open(self):
        one = "01890a5d-ac96-774b-bcce-000000000001"
        filter_ = event_pb2.Filter(any_of=[event_pb2.Clause(types=["A"])])
        stale = request("s", "E")
        stale.condition.none_match.CopyFrom(filter_)
        behind = request("s", "E")
        behind.checkpoint.consumer, behind.checkpoint.position = "c", 1
        self.append("other", "T")
        good, revision, unknown_id, invalid, too_late, first, second, last = self.outcomes([
            request("s", "A", id=one, expected_revision=0), request("s", "B", expected_revision=0),
            request("s", "B", id=one), request("", "", id="no uuid"), stale, behind, behind, request("s", "Z")])
        self.assertEqual([2, 3, 4], [self.position(outcome) for outcome in (good, first, last)])
        error = self.assert_error(revision, grpc.StatusCode.ABORTED, "REVISION_CONFLICT")
        self.assertEqual([("writes[0]", "s", 0, 1)],
                         [(c.field, c.stream, c.expected_revision, c.actual_revision) for c in error.conflicts.streams])
        error = self.assert_error(unknown_id, grpc.StatusCode.ALREADY_EXISTS, "EVENT_ID_CONFLICT")
        self.assertEqual([(one, 2)], [(conflict.id, conflict.position) for conflict in error.conflicts.events])
        error = self.assert_error(invalid, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
        self.assertEqual({"writes[0].stream", "writes[0].events[0].type", "writes[0].events[0].id"},
                         {violation.field for violation in error.bad_request.field_violations})
        self.assertEqual("3", error.info.metadata["count"])
        error = self.assert_error(too_late, grpc.StatusCode.ABORTED, "CONDITION_FAILED")
        self.assertEqual(2, error.conflicts.condition.position)
        error = self.assert_error(second, grpc.StatusCode.ABORTED, "CHECKPOINT_STALE")
        self.assertEqual(("c", 1), (error.conflicts.checkpoint.consumer, error.conflicts.checkpoint.position))
        self.assertEqual(["A", "E", "Z"], [event[3] for event in self.read(stream="s")])

    def test_what_append_says_append_many_says(self):
        """The same refusal in trailers and as an outcome."""
        wrong = request("s", "T" * 300, id="no uuid")
        error, details = self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD",
                                             lambda: self.store.Append(wrong))
        outcome = self.outcomes([wrong])[0]
        same = self.assert_error(outcome, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
        self.assertEqual(error.details(), same.message)
        self.assertEqual(self.violations(details),
                         {violation.field: violation.description for violation in same.bad_request.field_violations})

    def test_large_and_small_requests(self):
        large = event_store_pb2.AppendRequest(writes=[event_store_pb2.Write(
            stream=f"s-{index}", events=[event_pb2.Event(type="Large", text="x" * 15000)]) for index in range(1000)])
        too_large = request("s", text="x" * (1 << 20))
        outcomes = self.outcomes([large, request("s"), too_large, large, request("s")] * 3)
        for outcome in outcomes[2::5]:
            self.assert_error(outcome, grpc.StatusCode.INVALID_ARGUMENT, "EVENT_TOO_LARGE")
        del outcomes[2::5]
        self.assertEqual([1, 1001, 1002, 2002, 2003, 3003, 3004, 4004, 4005, 5005, 5006, 6006],
                         [self.position(outcome) for outcome in outcomes])
        self.assertEqual(6006, self.head())

    def test_a_message_that_is_none_ends_the_stream(self):
        raw = self.channel.stream_stream("/daybook.v1.EventStore/AppendMany",
                                         response_deserializer=event_store_pb2.AppendManyResponse.FromString)
        responses = raw(iter([request("s").SerializeToString(), b"\xff\xff\xff", request("s").SerializeToString()]))
        outcomes = []
        with self.assertRaises(grpc.RpcError) as caught:
            for response in responses:
                outcomes += response.outcomes
        self.assertEqual(grpc.StatusCode.INVALID_ARGUMENT, caught.exception.code())
        self.assertEqual([1], [self.position(outcome) for outcome in outcomes])
        self.assertEqual(1, self.head())

    def test_a_client_that_goes(self):
        many = Many(self.store)
        many.give(*[request("s") for _ in range(500)])
        many.take()
        many.call.cancel()
        many.close()
        self.append("other", "T")
        count = self.head()
        self.assertEqual(list(range(1, count + 1)), [event[0] for event in self.read()])

    def interrupted(self, stop):
        """Streams that are never idle until `stop` ends them; returns what each has heard, as (id, position)."""
        heard = [[] for _ in range(4)]
        ends = [None] * 4
        started = threading.Barrier(5)

        def one(number):
            ids = []

            def endless():
                while True:
                    ids.append(f"01890a5d-ac96-774b-{number:04x}-{len(ids):012x}")
                    yield request(f"s-{number}", id=ids[-1])
            responses = self.store.AppendMany(endless())
            try:
                for response in responses:
                    for outcome in response.outcomes:
                        if outcome.WhichOneof("outcome") == "appended":
                            heard[number].append((ids[len(heard[number])], self.position(outcome)))
                    if len(heard[number]) > 500 and ends[number] is None:
                        ends[number] = "running"
                        started.wait()
            except grpc.RpcError as error:
                ends[number] = error
        threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        started.wait()
        stop()
        for thread in threads:
            thread.join()
        return heard, ends

    def assert_all_there(self, heard):
        found = {}
        for response in self.store.Read(event_store_pb2.ReadRequest()):
            found.update({event.event.id: event.position for event in response.events})
        for answers in heard:
            self.assertEqual(sorted(answers, key=lambda answer: answer[1]), answers)
            self.assertEqual(answers, [(id, found.get(id)) for id, _ in answers])

    def test_a_stop_in_the_middle(self):
        heard, ends = self.interrupted(lambda: self.assertEqual(0, self.daemon.stop()))
        for end in ends:
            # A client that is still sending may find its connection closed before it has read why.
            self.assertEqual(grpc.StatusCode.UNAVAILABLE, end.code(), end)
        self.restart()
        self.assert_all_there(heard)

    def test_a_kill_in_the_middle(self):
        heard, _ = self.interrupted(self.daemon.kill)
        self.restart(kill=True)
        self.assert_all_there(heard)

    def test_a_stop_does_not_wait_for_idle_streams(self):
        many = Many(self.store)
        many.give(request("s"))
        self.assertEqual(1, self.position(many.take()))
        self.assertEqual(0, self.daemon.stop())
        self.assert_refused(grpc.StatusCode.UNAVAILABLE, "DRAINING", lambda: many.call)
        many.close()
        self.restart()
        self.assertEqual(1, self.head())

    def test_grpcurl(self):
        messages = [{"writes": [{"stream": "order-1", "expectedRevision": revision, "events": [{"type": "OrderPlaced"}]}]}
                    for revision in (0, 0, 1)]
        result = subprocess.run(
            [harness.GRPCURL, "-plaintext", "-d", "@", self.daemon.address, "daybook.v1.EventStore/AppendMany"],
            input="\n".join(json.dumps(message) for message in messages), capture_output=True, text=True,
            timeout=harness.PATIENCE_SECONDS, check=False)
        self.assertEqual(0, result.returncode, result.stderr)
        outcomes, rest = [], result.stdout
        while rest.strip():
            response, end = json.JSONDecoder().raw_decode(rest.lstrip())
            outcomes += response["outcomes"]
            rest = rest.lstrip()[end:]
        self.assertEqual(["1", None, "2"], [outcome.get("appended", {}).get("results", [{}])[0].get("firstPosition")
                                            for outcome in outcomes])
        error = outcomes[1]["error"]
        self.assertEqual((10, "REVISION_CONFLICT", "1"),
                         (error["code"], error["info"]["reason"], error["conflicts"]["streams"][0]["actualRevision"]))


if __name__ == "__main__":
    harness.main()
